"""Requests of a forecast: all steps of a series in one row, and errors that say what a row may be."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from pydantic_core import from_json, to_json

from services.prediction import schema
from services.prediction.horizon import Horizon
from services.prediction.live_models import LiveModels, LoadedModel
from stack.core.settings import Settings
from stack.prediction_log import corrections
from stack.prediction_log.predictions import event_key
from stack.project import Project
from stack.specification import example, forecasts, specs
from tests.stack.declared.test_forecast import spec

NOW = datetime(2024, 3, 20, 10, 20, tzinfo=UTC)
WITH_INPUTS = Horizon(spec(steps=3))
FREE = Horizon(
    specs.parse(
        {
            "name": "heat",
            "title": "How warm will it be?",
            "task": "forecast",
            "label": "warmth",
            "forecast": {"every": "1h", "steps": 24},
            "source": {"path": "heat.csv"},
            "columns": {"at": {"type": "datetime", "role": "time", "example": "2024-03-20T00:00:00Z"}, "warmth": {}},
        },
        Path("heat/project.yaml"),
    )
)


def parsed(horizon: Horizon, *rows: dict):
    return horizon.request.model_validate_json(json.dumps({"rows": rows})).rows


def test_nothing_but_the_key_asks_for_the_whole_horizon_from_now_on():
    (steps,) = FREE.steps(parsed(FREE, {}), NOW)
    assert [step.at for step in steps] == forecasts.targets(FREE.spec, NOW)
    assert {step.asked_at for step in steps} == {NOW}
    assert len(steps) == 24


def test_an_instant_asks_from_there_on_but_never_after_now():
    asked = [{"asked_at": "2024-03-20T05:59:00Z"}, {"asked_at": "2025-03-20T05:59:00Z"}]
    first, second = FREE.steps(parsed(FREE, *asked), NOW)
    assert first[0].at == datetime(2024, 3, 20, 6, tzinfo=UTC)
    assert second[0].at == datetime(2024, 3, 20, 11, tzinfo=UTC)


def test_inputs_come_with_their_steps_and_ids_stay_the_same():
    key = "01a229d7-f9f1-7090-b29f-ffd5298f5b39"
    row = {"room": "hall", "prediction_id": key, "steps": [{"sun": 0.1}, {"sun": 0.2, "at": "2024-03-20T20:00:00Z"}]}
    (steps,) = WITH_INPUTS.steps(parsed(WITH_INPUTS, row), NOW)
    assert [(step.room, step.sun, step.at.hour) for step in steps] == [("hall", 0.1, 11), ("hall", 0.2, 20)]
    (again,) = WITH_INPUTS.steps(parsed(WITH_INPUTS, row), NOW)
    assert [step.prediction_id for step in steps] == [step.prediction_id for step in again]
    assert len({step.prediction_id for step in steps}) == 2


def test_the_example_is_a_correct_request():
    (steps,) = WITH_INPUTS.steps(parsed(WITH_INPUTS, example.row(WITH_INPUTS.spec)), NOW)
    assert len(steps) == 3
    assert example.row(FREE.spec) == {}


WRONG = [
    ({"room": "hall"}, ["rows", 0, "steps"], "nothing", "a list of 1 to 3 objects with sun, at"),
    ({"room": "hall", "steps": []}, ["rows", 0, "steps"], "[]", "a list of 1 to 3"),
    ({"room": "hall", "steps": [{"sun": 1}] * 4}, ["rows", 0, "steps"], "", "a list of 1 to 3"),
    ({"room": "hall", "steps": [{"sun": "x"}]}, ["rows", 0, "steps", 0, "sun"], "'x'", "a number"),
    ({"steps": [{"sun": 1}]}, ["rows", 0, "room"], "nothing", "a text"),
    ({"rom": "hall", "steps": [{"sun": 1}]}, ["rows", 0, "rom"], "did you mean 'room'?", "only room"),
    ({"room": "hall", "steps": [{"at": "noon", "sun": 1}]}, ["rows", 0, "steps", 0, "at"], "'noon'", "an instant"),
]


@pytest.mark.parametrize(("row", "place", "found", "expected"), WRONG)
def test_a_wrong_request_names_place_found_and_expected(row, place, found, expected):
    with pytest.raises(ValidationError) as raised:
        parsed(WITH_INPUTS, row)
    errors = schema.explain(WITH_INPUTS.request, raised.value).errors(include_context=False, include_input=False)
    error = next(error for error in errors if list(error["loc"]) == place)
    assert found in error["msg"]
    assert expected in error["msg"]


def test_more_steps_than_one_request_may_ask_for_are_refused():
    steps = FREE.steps(parsed(FREE, *[{}] * 50), NOW)
    (mistake,) = FREE.too_many(steps)
    assert "1,200 steps" in mistake.msg
    assert not FREE.too_many(steps[:40])


def test_a_value_labels_every_forecast_of_it_whatever_weather_was_expected():
    asked = {"room": "hall", "at": NOW}
    keys = {event_key(WITH_INPUTS.spec, asked | {"sun": sun}) for sun in (0.1, 0.9, None)}
    assert len(keys) == 1
    assert event_key(WITH_INPUTS.spec, {"room": "attic", "at": NOW, "sun": 0.1}) not in keys


def test_the_live_model_answers_with_the_newest_correction_at_once(tmp_path):
    models = LiveModels(Project(Settings(home=tmp_path), FREE.spec.model_copy(update={"interval": 0.8})))
    served = SimpleNamespace(contract=SimpleNamespace(interval=0.8, correction=0.5), correction=0.5)
    models.champion = LoadedModel("7", served, None, NOW)
    for newest in (None, 2.0, 1.0):
        if newest is not None:
            corrections.write(models.project.settings.state_database, "heat", "7", newest, 100, NOW)
        models.refresh(moved=False)
        assert served.correction == (newest or 0.5)
    corrections.write(models.project.settings.state_database, "heat", "6", 9.0, 100, NOW)
    models.refresh(moved=False)
    assert served.correction == 1.0


@pytest.mark.parametrize("ends", [{}, {"low": 1.0, "high": 3.0, "correction": 0.5}])
def test_each_step_has_the_interval_that_its_version_has(ends):
    horizon = Horizon(FREE.spec.model_copy(update={"interval": 0.8}))
    (steps,) = horizon.steps(parsed(horizon, {}), NOW)
    answer = {"prediction": 2.0, **ends, "model_version": "1", "prediction_id": "a"}
    answer |= {"features_at": None, "warnings": []}
    written = from_json(to_json(horizon.forecast(steps, [answer] * len(steps))))
    wanted = {"prediction": 2.0} | {name: ends[name] for name in ("low", "high") if ends}
    assert [{name: step.get(name) for name in wanted} for step in written["forecast"]] == [wanted] * 24
    assert not {"low", "high", "correction"} & {*written["forecast"][0]} - {*wanted}
    fields = horizon.answer.model_json_schema()["$defs"]["HeatStepAnswer"]["properties"]
    assert {"low", "high"} <= {*fields} and "correction" not in fields
