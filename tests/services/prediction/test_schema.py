import json
from datetime import UTC, datetime
from types import SimpleNamespace
from uuid import uuid4

import numpy as np
import pytest
from pydantic import ValidationError

from services.prediction import feedback, schema
from services.prediction.live_models import LoadedModel
from stack.core.errors import StackError
from stack.specification import example, specs, tasks
from stack.specification.request import RequestField

FLIGHTS = specs.load("flights")
ROW = example.row(FLIGHTS)
REQUEST = schema.request_model(FLIGHTS)


def mistakes(body: str | bytes) -> list[dict]:
    """Return the errors that the caller of a wrong body gets."""
    with pytest.raises(ValidationError) as raised:
        REQUEST.model_validate_json(body)
    return schema.explain(REQUEST, raised.value).errors(include_context=False, include_input=False)


def row(**changes) -> str:
    return json.dumps({"rows": [ROW | changes]})


def test_the_example_of_the_project_is_a_correct_request():
    parsed = REQUEST.model_validate_json(json.dumps({"rows": [ROW]}))
    assert parsed.rows[0].model_dump(include=set(FLIGHTS.request)) == schema.parsed_example(FLIGHTS)
    assert parsed.rows[0].sched_dep == datetime(2013, 3, 1, 13, tzinfo=UTC)


INVALID = [
    # body, place, part of "found", part of "expected"
    ("{", [], "Invalid JSON", '{"rows": [...]}'),
    ("[]", [], "[]", '{"rows": [...]}'),
    ("{}", ["rows"], "nothing", "1 to 1000 rows"),
    ('{"rows": []}', ["rows"], "[]", "1 to 1000 rows"),
    ('{"rows": {}}', ["rows"], "{}", "1 to 1000 rows"),
    (json.dumps({"rows": [ROW] * 1001}), ["rows"], "more than 1000 rows", "1 to 1000 rows"),
    ('{"rows": ["UA"]}', ["rows", 0], "'UA'", "an object with carrier, origin"),
    (row(origin="ewr"), ["rows", 0, "origin"], "'ewr'", "^[A-Z]{3}$, like 'EWR' (Airport of departure"),
    (row(origin="EWR\n"), ["rows", 0, "origin"], "'EWR\\n'", "^[A-Z]{3}$"),
    (row(carrier=7), ["rows", 0, "carrier"], "7", "a text matching"),
    (row(carrier=None), ["rows", 0, "carrier"], "None", "a text matching"),
    (row(orgin="EWR"), ["rows", 0, "orgin"], "did you mean 'origin'?", "only carrier, origin, dest"),
    (row(sched_dep="2013-03-01T08:00:00"), ["rows", 0, "sched_dep"], "'2013-03-01T08:00:00'", "with its zone"),
    (row(sched_dep="2013-03-01"), ["rows", 0, "sched_dep"], "'2013-03-01'", "with its zone"),
    (row(sched_dep="tomorrow"), ["rows", 0, "sched_dep"], "'tomorrow'", "like '2013-03-01T08:00:00-05:00'"),
    (row(sched_dep=1362142800), ["rows", 0, "sched_dep"], "1362142800", "with its zone"),
    (row(dest="{found}"), ["rows", 0, "dest"], "'{found}'", "like 'ORD'"),
    (row(prediction_id="7"), ["rows", 0, "prediction_id"], "'7'", "a UUID"),
    (row(sched_dep="0001-01-01T00:00:00+23:00"), ["rows", 0, "sched_dep"], "'0001", "of at least 1700-01-01T00:00:00Z"),
    (row(sched_arr="9999-12-31T23:59:59-23:00"), ["rows", 0, "sched_arr"], "'9999", "of at most 2200-01-01T00:00:00Z"),
    (row(asked_at="1600-01-01T00:00:00Z"), ["rows", 0, "asked_at"], "'1600", "of at least 1700-01-01T00:00:00Z"),
]


@pytest.mark.parametrize(("body", "place", "found", "expected"), INVALID)
def test_a_mistake_names_its_place_what_was_found_and_what_was_expected(body, place, found, expected):
    error = mistakes(body)[0]
    assert list(error["loc"]) == place
    saw, _, wanted = error["msg"].partition(", expected ")
    assert found in saw
    assert expected in wanted


def test_a_missing_field_is_described():
    without = {name: value for name, value in ROW.items() if name != "dest"}
    (error,) = mistakes(json.dumps({"rows": [without]}))
    assert error["loc"] == ("rows", 0, "dest")
    assert (
        error["msg"] == "found nothing, expected a text matching ^[A-Z]{3}$, like 'ORD' (Airport of arrival, IATA code)"
    )


def test_a_long_value_is_cut_and_many_mistakes_are_twenty():
    error = mistakes(json.dumps({"rows": [ROW | {"dest": "x" * 500}] * 30}))
    assert len(error) == 20
    assert len(error[0]["msg"]) < 250


def test_limits_and_unit_of_a_number_are_told():
    field = RequestField(type="number", description="Wind", example=7.5, unit="mph", ge=0, le=100)
    windy = FLIGHTS.model_copy(update={"name": "wind_farm", "request": {"wind": field}})
    model = schema.request_model(windy)
    assert model.__name__ == "WindFarmRequest"
    assert model.model_validate_json('{"rows": [{"wind": 7}]}').rows[0].wind == 7.0
    for value in ("120", '"7"', "NaN", "true"):
        with pytest.raises(ValidationError) as raised:
            model.model_validate_json(f'{{"rows": [{{"wind": {value}}}]}}')
        error = schema.explain(model, raised.value).errors()[0]["msg"]
        assert "a number of at least 0 of at most 100 in mph, like 7.5 (Wind)" in error, error


TEXT, COUNT = {"type": "string", "example": "a"}, {"type": "integer", "example": 1}
PART = {"type": "number", "example": 1.5}
AT = {"type": "datetime", "example": "2013-01-01T00:00:00Z"}
OWN = {"ge": "1500-01-01T00:00:00Z", "le": "2013-01-01T00:00:00Z"}
BOUNDS = [
    # the field's keys, a value within, values beyond, what is expected
    (TEXT, "x" * 1000, ["x" * 1001], "a text, like 'a' (Any), of at most 1000 characters"),
    (TEXT | {"max_length": 3000}, "x" * 3000, ["x" * 3001], "of at most 3000 characters"),
    (COUNT, 2**63 - 1, [2**63, 10**4000], "of at most 9223372036854775807"),
    (COUNT, -(2**63), [-(2**63) - 1], "of at least -9223372036854775808"),
    (COUNT | {"le": 5}, 5, [6, 2**63], "a whole number of at most 5, like 1 (Any)"),
    (PART, 3.4e38, [3.5e38, 1e308], "a number, like 1.5 (Any), of at most 3.40282e+38"),
    (PART, -3.4e38, [-3.5e38], "of at least -3.40282e+38"),
    (AT, "1700-01-01T00:00:00Z", ["1699-12-31T23:59:59Z"], "of at least 1700-01-01T00:00:00Z"),
    (AT, "2200-01-01T00:00:00Z", ["2200-01-01T00:00:00-01:00"], "of at most 2200-01-01T00:00:00Z"),
    (
        AT | OWN,
        "1500-01-01T00:00:00Z",
        ["1499-12-31T23:59:59Z"],
        "of at least 1500-01-01T00:00:00Z of at most 2013",
    ),
]


@pytest.mark.parametrize(("keys", "within", "beyond", "expected"), BOUNDS)
def test_a_value_is_bounded_by_its_type_or_by_project_yaml(keys, within, beyond, expected):
    field = RequestField.model_validate({"description": "Any"} | keys)
    model = schema.request_model(FLIGHTS.model_copy(update={"request": {"any": field}}))
    model.model_validate_json(json.dumps({"rows": [{"any": within}]}))
    for value in beyond:
        with pytest.raises(ValidationError) as raised:
            model.model_validate_json(json.dumps({"rows": [{"any": value}]}))
        assert expected in schema.explain(model, raised.value).errors()[0]["msg"]


def test_a_label_is_a_number_that_models_can_hold():
    spec = FLIGHTS.model_copy(update={"task": "regression", "classes": []})
    model, body = feedback.feedback_model(spec), '{"labels": [{"prediction_id": "%s", "label": %s}]}'
    model.model_validate_json(body % (uuid4(), 3.4e38))
    for label in (1e39, -1e308):
        with pytest.raises(ValidationError):
            model.model_validate_json(body % (uuid4(), label))


@pytest.mark.parametrize("body", ["{}", "[]", '{"labels": []}', '{"feedback": []}'])
def test_a_wrong_feedback_body_is_told_the_right_one(body):
    model = feedback.feedback_model(FLIGHTS)
    with pytest.raises(ValidationError) as raised:
        model.model_validate_json(body)
    texts = [error["msg"] for error in schema.explain(model, raised.value).errors()]
    assert all(
        'expected {"labels": [{"prediction_id": ..., "label": ...}]}' in text.replace("only ", "") for text in texts
    )


@pytest.mark.parametrize("output", [float("inf"), float("-inf"), float("nan")])
def test_a_prediction_that_json_cannot_hold_is_refused(output):
    features = SimpleNamespace(read=lambda *_: SimpleNamespace(columns={}))
    model = SimpleNamespace(answer=lambda _: np.array([[1.0], [output]]))
    with pytest.raises(ValueError, match="no finite number"):
        LoadedModel("1", model, features, datetime.now(UTC)).predict([{}, {}], [])


def test_bounds_are_of_the_type_of_their_field():
    for keys in ({"type": "datetime", "ge": 5}, {"type": "number", "le": "2013-01-01T00:00:00Z"}):
        with pytest.raises(ValidationError, match="a number|an instant"):
            RequestField.model_validate({"description": "Any", "example": 1} | keys)


def test_the_json_schema_has_the_bounds():
    keys = {"text": "string", "count": "integer", "at": "datetime", "part": "number"}
    request = {name: RequestField(type=kind, description="Any", example=1) for name, kind in keys.items()}
    fields = schema.row_model(FLIGHTS.model_copy(update={"request": request})).model_json_schema()["properties"]
    assert fields["text"]["maxLength"] == 1000
    assert (fields["count"]["minimum"], fields["count"]["maximum"]) == (-(2**63), 2**63 - 1)
    assert fields["at"]["formatMinimum"] == "1700-01-01T00:00:00Z"
    assert fields["at"]["formatMaximum"] == "2200-01-01T00:00:00Z"


def test_a_field_may_not_take_a_name_that_every_request_has():
    field = RequestField(type="string", description="Id", example="x")
    with pytest.raises(StackError, match="prediction_id"):
        schema.row_model(FLIGHTS.model_copy(update={"request": {"prediction_id": field}}))


def test_only_a_replayed_project_takes_the_instant_of_a_row():
    wall = FLIGHTS.model_copy(update={"clock": FLIGHTS.clock.model_copy(update={"kind": "wall"})})
    assert "asked_at" in schema.row_model(FLIGHTS).model_fields
    assert "asked_at" not in schema.row_model(wall).model_fields


def test_the_json_schema_has_names_units_examples_and_patterns():
    fields = schema.row_model(FLIGHTS).model_json_schema()["properties"]
    assert fields["origin"]["pattern"] == "^[A-Z]{3}$"
    assert fields["origin"]["examples"] == ["EWR"]
    assert fields["sched_dep"]["format"] == "date-time"
    assert fields["carrier"]["description"] == "Two-character airline code"


def test_a_value_that_may_be_missing_is_null_or_left_out():
    age = RequestField(type="number", description="Age", example=22, nullable=True, ge=0)
    model = schema.request_model(FLIGHTS.model_copy(update={"name": "titanic", "request": {"age": age}}))
    for body, age in (("{}", None), ('{"age": null}', None), ('{"age": 7.5}', 7.5)):
        assert model.model_validate_json(f'{{"rows": [{body}]}}').rows[0].age == age
    with pytest.raises(ValidationError) as raised:
        model.model_validate_json('{"rows": [{"age": -1}]}')
    error = schema.explain(model, raised.value).errors()[0]["msg"]
    assert error == "found -1, expected a number of at least 0 or null, like 22 (Age)"


ANSWERS = {
    "binary": ([], [0.75], {"probability": 0.75, "decision": True}),
    "multiclass": (["a", "b", 3], [0.2, 0.5, 0.3], {"probabilities": {"a": 0.2, "b": 0.5, "3": 0.3}, "decision": "b"}),
    "regression": ([], [-4.5], {"prediction": -4.5}),
}


@pytest.mark.parametrize("task", ANSWERS)
def test_an_answer_begins_with_the_reply_of_its_task(task):
    classes, outputs, reply = ANSWERS[task]
    spec = FLIGHTS.model_copy(update={"task": task, "classes": classes})
    common = {"model_version": "1", "prediction_id": "x", "features_at": None, "warnings": []}
    answer = schema.answer_model(spec).model_validate(tasks.of(spec).reply(outputs, spec.threshold) | common)
    assert answer.model_dump() == reply | common
    assert list(answer.model_dump())[: len(reply)] == list(reply)
    fields = schema.answer_model(spec).model_json_schema()["properties"]
    assert all(fields[name]["description"] for name in fields)
