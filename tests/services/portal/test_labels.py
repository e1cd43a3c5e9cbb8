"""The queue of predictions without a label, and files of outcomes."""

import csv
from datetime import UTC, datetime, timedelta
from io import StringIO
from uuid import UUID

import pytest
from starlette.testclient import TestClient

from services.guard import Guard
from services.portal import labelling
from services.portal.app import build
from services.portal.pages import labels
from stack.access import actions
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.prediction_log.unlabelled import Unlabelled
from stack.project import Project
from stack.specification import specs

FLIGHTS, HOUSING, INSURANCE, WEATHER = (specs.load(name) for name in ("flights", "housing", "insurance", "weather"))
SPECIES = HOUSING.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]})
NOW = datetime(2013, 3, 1, 12, tzinfo=UTC)
FIRST, SECOND, THIRD = (str(UUID(int=number)) for number in (1, 2, 3))
FLIGHT = {"carrier": "UA", "origin": "EWR", "dest": "=ORD", "sched_dep": NOW, "sched_arr": NOW}
POSTS = ["labels", f"labels/{FIRST}", f"labels/{FIRST}/undo"]


def row(name: str, answer: dict, **request) -> Unlabelled:
    return Unlabelled(name, "2013-03-01 11:00:00", request, answer, "1")


def test_the_least_certain_answer_comes_first():
    probabilities = [row(str(share), {"probability": share, "decision": share >= 0.5}) for share in (0.9, 0.1, 0.55)]
    assert [found.id for found in labelling.queue(FLIGHTS, probabilities, NOW)] == ["0.55", "0.9", "0.1"]
    classes = [
        row("sure", {"probabilities": {"a": 0.8, "b": 0.1, "c": 0.1}}),
        row("torn", {"probabilities": {"a": 0.4, "b": 0.35, "c": 0.25}}),
    ]
    assert [found.id for found in labelling.queue(SPECIES, classes, NOW)] == ["torn", "sure"]
    numbers = [row("none", {"prediction": 1.0})]
    numbers += [row(str(high), {"prediction": 1.0, "low": 0.0, "high": high}) for high in (2.0, 9.0)]
    assert [found.id for found in labelling.queue(HOUSING, numbers, NOW)] == ["9.0", "2.0", "none"]


def test_nobody_is_asked_about_what_is_still_to_come():
    hours = [row(str(hour), {"prediction": 1.0}, time_hour=f"2013-03-01T{hour}:00:00Z") for hour in (11, 12, 13)]
    assert [found.id for found in labelling.queue(WEATHER, hours, NOW)] == ["11", "12"]


@pytest.mark.parametrize(
    ("spec", "text", "value"),
    [
        (FLIGHTS, "1", 1), (FLIGHTS, " FALSE ", 0), (FLIGHTS, "yes", 1), (FLIGHTS, "late", None), (FLIGHTS, "2", None),
        (INSURANCE, "No", "No"), (INSURANCE, "yes", "Yes"), (INSURANCE, "1", None), (SPECIES, "B", "b"),
        (HOUSING, "21.5", 21.5), (HOUSING, "nan", None), (HOUSING, "", None),
    ],
)  # fmt: skip
def test_a_text_is_an_outcome_of_the_project_or_refused(spec, text, value):
    if value is None:
        with pytest.raises(ValueError, match="expected"):
            labelling.outcome(spec, text)
    else:
        assert labelling.outcome(spec, text) == value
        assert labelling.decoded(spec, labelling.encoded(spec, value)) == value


def test_a_file_is_read_line_by_line_and_says_what_is_refused():
    lines = ["\ufeffnote;prediction_id;label", f";{FIRST};1", f"x;{SECOND};maybe", f";{THIRD};", ";nothing;0", ";"]
    found, refused = labelling.read(FLIGHTS, "\r\n".join(lines).encode())
    assert found == {FIRST: 1}
    assert [line.partition(":")[0] for line in refused] == ["line 3", "line 5"]
    assert "'maybe'" in refused[0] and "'nothing'" in refused[1]
    assert labelling.read(FLIGHTS, f"late,prediction_id\n0,{FIRST}\n".encode())[0] == {FIRST: 0}


@pytest.mark.parametrize("content", [b"", b"id,label\n1,1\n", b"\xff\xfe\x00", b"prediction_id,label\n" + b"x" * 2**18])
def test_what_is_no_such_file_is_refused(content):
    with pytest.raises(StackError, match="the file"):
        labelling.read(FLIGHTS, content)


@pytest.fixture
def answered(home) -> Settings:
    """A stack with a key, whose flights has three predictions without a label; its prediction service is down."""
    stack = home.model_copy(update={"prefect_key": "stack:key"})
    written = [
        Prediction(
            name,
            asked_at=NOW - timedelta(hours=1),
            answered_at=NOW,
            request=FLIGHT,
            features={},
            features_at=None,
            model_version="1",
            answer={"probability": share, "decision": share >= 0.5},
        )
        for name, share in ((FIRST, 0.1), (SECOND, 0.45), (THIRD, 0.99))
    ]
    Project(stack, FLIGHTS).log.write(written)
    return stack


def test_the_page_shows_the_queue_with_a_button_for_each_outcome(answered, portal, monkeypatch):
    client = portal(answered)
    page = client.get("/projects/flights/labels").text
    assert page.index(f"labels/{SECOND}") < page.index(f"labels/{FIRST}") < page.index(f"labels/{THIRD}")
    assert page.count('<button name="label" value="1" data-key="2" data-letter="y">yes</button>') == 3
    assert " style=" not in page
    monkeypatch.setattr(labels, "SHOWN", 2)
    last = client.get("/projects/flights/labels?page=2").text
    assert f"labels/{THIRD}" in last and f"labels/{FIRST}" not in last
    for odd in ("x", "0", "9" * 9):
        assert client.get(f"/projects/flights/labels?page={odd}").status_code == 200
    assert client.get("/projects/fligths/labels").status_code == 404


def test_the_queue_is_a_file_to_fill_in_and_upload(answered, portal):
    content = portal(answered).get("/projects/flights/labels.csv").text
    first, *others = rows = [*csv.DictReader(StringIO(content))]
    assert [line["prediction_id"] for line in rows] == [SECOND, FIRST, THIRD]
    assert first["carrier"] == "UA" and first["dest"] == "'=ORD" and first["label"] == ""
    filled = StringIO()
    writer = csv.DictWriter(filled, [*first])
    writer.writeheader()
    writer.writerows([first | {"label": "1"}, *others])
    assert labelling.read(FLIGHTS, filled.getvalue().encode()) == ({SECOND: 1}, [])


@pytest.mark.parametrize("path", POSTS)
def test_without_the_key_or_from_another_site_no_label_is_given(answered, path):
    with TestClient(Guard(build(answered), answered), base_url=answered.portal_url) as client:
        url, headers = f"/projects/flights/{path}", answered.prefect_headers
        assert client.post(url, data={"label": "1"}).status_code == 401
        assert client.post(url, headers=headers | {"Origin": "http://evil.example"}).status_code == 403
        assert client.get(url).status_code == (200 if path == "labels" else 405)
    assert actions.entries(answered.state_database) == []


def test_what_fails_is_said_and_in_the_audit(answered, portal):
    client, headers = portal(answered), answered.prefect_headers
    url = "/projects/flights/labels"
    texts = [
        client.post(f"{url}/{FIRST}", data={"label": "1"}, headers=headers).text,
        client.post(f"{url}/{FIRST}", data={"label": "7"}, headers=headers).text,
        client.post(f"{url}/{UUID(int=9)}", data={"label": "1"}, headers=headers).text,
        client.post(f"{url}/{FIRST}/undo", headers=headers).text,
        client.post(url, files={"file": ("a.csv", b"x" * (labels.MAX_BYTES + 1))}, headers=headers).text,
        client.post(url, data={"file": "no file"}, headers=headers).text,
    ]
    said = [
        "prediction service",
        "expected",
        "no such prediction",
        "nothing to undo",
        "2,000,000",
        "choose one",
    ]
    for text, part in zip(texts, said, strict=True):
        assert part in text and 'role="alert"' in text
    assert [entry.outcome.startswith("failed") for entry in actions.entries(answered.state_database)] == [True] * 6
