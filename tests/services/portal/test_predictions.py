"""The pages of the prediction log: what is listed, one prediction, and the way back to its raw rows."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from services.portal import logged_predictions, processes
from stack.access import actions
from stack.access.actions import Action
from stack.core.settings import Settings
from stack.prediction_log.logged import Days
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.specification import specs

FLIGHTS, HOUSING, INSURANCE = (specs.load(name) for name in ("flights", "housing", "insurance"))
NOW = datetime(2013, 3, 1, 12, tzinfo=UTC)
REASONS = {"base": -1.0, "unit": "log-odds", "contributions": {"temp": 0.5}}
REQUEST = {"carrier": "<b>UA", "origin": "EWR", "dest": "ORD", "sched_dep": NOW, "sched_arr": NOW}
PATH = "/projects/flights/predictions"


def name_of(number: int) -> str:
    return str(UUID(int=number))


@pytest.fixture
def answered(home) -> Settings:
    """A stack whose flights has sixty predictions, an hour apart, the third and the fourth with a label."""
    log = Project(home, FLIGHTS).log
    log.write(
        [
            Prediction(
                name_of(number),
                asked_at=NOW - timedelta(hours=number),
                answered_at=NOW,
                request=REQUEST,
                features={"temp": 44.06, "carrier_id": "UA", "visib": None},
                features_at=NOW - timedelta(hours=number),
                model_version="1",
                answer={"probability": 0.1, "decision": False},
                reasons=REASONS if number == 2 else None,
            )
            for number in range(60)
        ]
    )
    log.label_predictions({name_of(2): (1.0, NOW), name_of(3): (0.0, NOW)})
    return home


def listed(text: str) -> list[int]:
    return [number for number in range(60) if f"{PATH}/{name_of(number)}" in text]


def test_the_newest_are_listed_and_older_ones_follow(answered, portal):
    client = portal(answered)
    first = client.get(PATH).text
    assert listed(first) == [*range(50)] and "&lt;b&gt;UA" in first and "<b>UA" not in first
    older = first[: first.index('">older</a>')].rpartition('href="')[2].replace("&amp;", "&")
    assert listed(client.get(f"{PATH}{older}").text) == [*range(50, 60)]
    assert listed(client.get(f"{PATH}?day=2013-02-27").text) == [*range(37, 60)]
    assert listed(client.get(f"{PATH}?day=someday&before=x&days=7&only=x").text) == [*range(50)]


def test_the_wrong_and_the_unlabelled_are_found(answered, portal):
    client = portal(answered)
    assert listed(client.get(f"{PATH}?only=wrong").text) == [2]
    assert {2, 3}.isdisjoint(listed(client.get(f"{PATH}?only=unlabelled").text))


def test_an_id_leads_to_its_prediction(answered, portal):
    client = portal(answered)
    assert str(client.get(f"{PATH}?id={name_of(7)}").url).endswith(f"{PATH}/{name_of(7)}")
    assert "No prediction &lt;x&gt; of flights" in client.get(f"{PATH}?id=<x>").text
    assert client.get(f"{PATH}/{name_of(99)}").status_code == 404
    assert client.get(f"/projects/titanic/predictions/{name_of(7)}").status_code == 404


def test_the_days_are_drawn(answered, portal):
    text = portal(answered).get(PATH).text
    days = json.loads(text.partition('id="days">')[2].partition("</script>")[0])
    counts, means, shares = (chart["lines"][0]["values"] for chart in days["charts"])
    assert counts == [23, 24, 13] and means == pytest.approx([0.1] * 3) and shares == pytest.approx([0, 0, 2 / 13])


def test_a_prediction_says_what_was_asked_answered_and_true(answered, portal):
    database = answered.state_database
    given = {"prediction_id": name_of(2), "label": 1, "former": None}
    actions.record(database, Action("ada", "flights", "label", given, "late", NOW))
    client = portal(answered)
    text = client.get(f"{PATH}/{name_of(2)}").text
    for part in (
        "&lt;b&gt;UA",
        "probability of yes: 10.0%",
        "late: yes",
        "wrong",
        "by ada",
        "+0.5",
        "44.06",
        "missing",
    ):
        assert part in text
    other = client.get(f"{PATH}/{name_of(3)}").text
    assert "the log does not say which" in other and "No reasons were asked for" in other
    assert "Not known yet" in client.get(f"{PATH}/{name_of(4)}").text


def test_the_features_and_the_rows_are_read_in_a_process_of_their_own(answered, portal, monkeypatch):
    view = {"name": "weather", "keys": {"origin": "EWR"}, "features": ["temp"], "at": NOW.isoformat()}
    table = {"table": "weather", "views": ["weather"], "keys": {"origin": "EWR"}, "since": "", "until": NOW.isoformat()}
    table |= {"count": 51, "columns": ["temp"], "rows": [["<i>44"]]}
    asked = []

    async def read(_, *arguments):
        asked.append(arguments)
        return {"views": [view | {"different": ["temp"]}], "tables": [table]}

    monkeypatch.setattr(processes, "read", read)
    client, one = portal(answered), f"{PATH}/{name_of(2)}"
    features = client.get(f"{one}/features").text
    assert features.count("weather") == 1 and features.count("the request") == 2 and "other value" in features
    assert f'hx-get="{one}/rows/read"' in client.get(f"{one}/rows").text
    rows = client.get(f"{one}/rows/read").text
    assert "51 rows known up to 2013-03-01 12:00 UTC, for weather; the newest 1" in rows and "&lt;i&gt;44" in rows
    assert asked == [("stack.lineage", "flights", name_of(2)), ("stack.lineage", "flights", name_of(2), "--rows")]


def test_what_cannot_be_traced_is_said(answered, portal, monkeypatch):
    monkeypatch.setattr(processes, "read", lambda *_: fail())
    client = portal(answered)
    for part in ("features", "rows/read"):
        assert "cannot be read: no lake" in client.get(f"{PATH}/{name_of(2)}/{part}").text


async def fail() -> None:
    raise RuntimeError("no lake")


@pytest.mark.parametrize(
    ("spec", "answer", "label", "wrong"),
    [
        (FLIGHTS, {"probability": 0.4, "decision": False}, 1.0, True),
        (FLIGHTS, {"probability": 0.4, "decision": False}, None, False),
        (INSURANCE, {"probability": 0.4, "decision": True}, 1.0, False),
        (HOUSING, {"prediction": 1.0}, 9.0, False),
        (HOUSING, {"prediction": 1.0, "low": 0.0, "high": 2.0}, 2.0, False),
        (HOUSING, {"prediction": 1.0, "low": 0.0, "high": 2.0}, 2.1, True),
    ],
)
def test_an_answer_is_wrong_or_its_interval_is(spec, answer, label, wrong):
    assert logged_predictions.is_wrong(spec, answer, label) is wrong


def test_numbers_have_a_mean_and_classes_have_none():
    days = Days([0], [4], [0], [2.5])
    drawn = logged_predictions.charts(HOUSING, days)["charts"]
    assert [chart["lines"][0]["values"] for chart in drawn] == [[4], [2.5]]  # of labels there is nothing to draw
    assert logged_predictions.output(HOUSING) == "prediction"
    species = HOUSING.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]})
    assert logged_predictions.output(species) == ""
