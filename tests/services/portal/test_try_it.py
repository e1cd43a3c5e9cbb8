"""The form of a project's request, what becomes of a filled one, and the answer as people read it."""

import pytest
from starlette.testclient import TestClient

from services.guard import Guard
from services.portal import answers, forms
from services.portal.app import build
from stack.core import migrations
from stack.specification import example, specs

HOUSING, FLIGHTS, BIKES = (specs.load(name) for name in ("housing", "flights", "bikes"))
TITANIC = specs.load("titanic")


def filled(spec) -> dict[str, str]:
    """The form as the page shows it."""
    return {shown.name: shown.value for shown in forms.inputs(spec)}


@pytest.mark.parametrize("name", specs.names())
def test_the_form_as_it_is_shown_sends_the_example(name):
    spec = specs.load(name)
    form = filled(spec) | {forms.STEPS: "3"}
    assert forms.row(spec, form) == example.row(spec)


def test_numbers_with_bounds_have_a_slider_and_known_values_a_list():
    rooms, district, charles = (
        {shown.name: shown for shown in forms.inputs(HOUSING)}[name] for name in ("rm", "tax", "chas")
    )
    assert rooms.slider == forms.Slider(1, 12, 0.1) and rooms.kind == "number" and not rooms.whole
    assert district.slider == forms.Slider(100, 1000, 1.0)
    assert charles.whole
    carrier, *_, arrival = forms.inputs(FLIGHTS)
    assert carrier.kind == "select" and "B6" in carrier.choices and carrier.slider is None
    assert arrival.kind == "text"


@pytest.mark.parametrize(
    ("text", "sent"), [("", None), ("7", 7), ("7.5", 7.5), ("many", "many"), ("nan", "nan"), ("1e999", "1e999")]
)
def test_what_is_no_number_is_sent_as_it_is_and_nothing_as_null(text, sent):
    assert forms.row(TITANIC, filled(TITANIC) | {"age": text})["age"] == sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("2013-07-04", "2013-07-04T00:00:00-04:00"),
        ("2013-01-04 18:30", "2013-01-04T18:30:00-05:00"),
        ("2013-07-04T18:30:00Z", "2013-07-04T18:30:00Z"),
        ("4.7.2013", "4.7.2013"),
    ],
)
def test_an_instant_without_a_zone_is_of_the_project(text, sent):
    here = FLIGHTS.model_copy(update={"source": BIKES.source})
    departure, _ = (name for name, field in here.request.items() if field.type == "datetime")
    assert forms.row(here, filled(here) | {departure: text})[departure] == sent


def test_all_steps_of_a_forecast_have_the_same_inputs():
    form = filled(BIKES) | {"temp": "0.8"}
    assert len(forms.row(BIKES, form)["steps"]) == 24
    assert {step["temp"] for step in forms.row(BIKES, form)["steps"]} == {0.8}
    assert len(forms.row(BIKES, form | {forms.STEPS: "99"})["steps"]) == 24


def test_a_probability_is_shown_with_its_decision_and_the_largest_reasons():
    contributions = {"dep_minute": -0.4, **{f"f{number}": 0.1 for number in range(12)}}
    answer = {"probability": 0.25, "decision": False}
    answer["reasons"] = {"base": 0.0, "unit": "log-odds", "contributions": contributions}
    shown = answers.shown(FLIGHTS, {}, answer)
    assert (shown.text, shown.note) == ("no", "probability of yes: 25.0%")
    assert shown.bars[0].end == 25
    assert shown.reasons.base == "50.0%"
    first, second, *others = shown.reasons.bars
    assert (first.label, first.text, first.start, first.end, first.raises) == ("dep_minute", "-0.4", 0, 50, False)
    assert (second.start, second.end, second.raises) == (50, 62.5, True)
    assert len(others) == 8 and shown.reasons.others == "3 others: 0.3"


def test_a_number_is_shown_with_its_unit_and_its_interval_on_the_range_of_the_outcome():
    spec = HOUSING.model_copy(update={"interval": 0.8})
    shown = answers.shown(spec, {}, {"prediction": 22.5, "low": 20.0, "high": 25.5})
    assert (shown.text, shown.note) == ("22.5 $1,000", "with 80% between 20 and 25.5")
    (bar,) = shown.bars
    assert bar.start == pytest.approx(100 * 19 / 49) and bar.end == pytest.approx(50)


def test_classes_are_shown_the_most_probable_first():
    spec = HOUSING.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]})
    shown = answers.shown(spec, {}, {"probabilities": {"a": 0.2, "b": 0.7, "c": 0.1}, "decision": "b"})
    assert shown.text == "b" and [bar.label for bar in shown.bars] == ["b", "a", "c"]


def test_a_forecast_is_shown_as_columns_and_as_a_table():
    reasons = {"base": 1.0, "unit": "number", "contributions": {"temp": 2.0}}
    step = {"hour": "2011-03-01T12:00:00Z", "prediction": 10.0, "prediction_id": "a", "reasons": reasons}
    chart = answers.chart(BIKES, [step])
    assert chart["prediction"] == [10.0] and chart["times"] == [1298980800.0] and "low" not in chart
    chart = answers.chart(BIKES, [step | {"low": 8.0, "high": 12.0}])
    assert (chart["low"], chart["high"]) == ([8.0], [12.0])
    assert answers.steps(BIKES, [step]) == [{"at": step["hour"], "answer": "10", "mainly": "temp", "id": "a"}]


@pytest.mark.parametrize("name", specs.names())
def test_the_page_of_each_project_has_a_label_for_each_input_and_the_commands(home, portal, name):
    page = portal(home).get(f"/projects/{name}/try").text
    for shown in forms.inputs(specs.load(name)):
        assert f'for="field-{shown.name}"' in page and f'id="field-{shown.name}"' in page
    assert f"/{name}/predict" in page and "import requests" in page
    assert " style=" not in page and "<script>" not in page


def test_an_unknown_project_has_no_form(home, portal):
    assert portal(home).get("/projects/fligths/try").status_code == 404


@pytest.fixture
def key(home):
    """Settings with a key."""
    return home.model_copy(update={"prefect_key": "stack:key"})


def test_without_the_key_nothing_is_asked(key, portal):
    client = portal(key)
    for headers in ({}, {"Authorization": "Basic d3Jvbmc="}):
        answer = client.post("/projects/flights/try", data=filled(FLIGHTS), headers=headers)
        assert answer.status_code == 401 and "sign in" in answer.text


def test_a_service_that_is_down_is_said_to_be(key, portal):
    answer = portal(key).post("/projects/flights/try", data=filled(FLIGHTS), headers=key.prefect_headers)
    assert answer.status_code == 502 and "prediction service, /flights/predict" in answer.text


def test_a_page_of_another_site_asks_nothing(key):
    migrations.upgrade(key.state_database)
    with TestClient(Guard(build(key), key), base_url=key.portal_url) as client:
        foreign = key.prefect_headers | {"Origin": "http://evil.example"}
        assert client.post("/projects/flights/try", data=filled(FLIGHTS), headers=foreign).status_code == 403
