"""The portal beside the real prediction service: a form is answered, or refused by field; labels are given."""

import math
import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from services.portal import forms
from services.portal.app import build
from stack.access import actions
from stack.project import Project
from tests.polling import eventually
from tests.services.conftest import NOW, get

pytestmark = pytest.mark.services


@pytest.fixture
def client(home, spec, version, prediction) -> Iterator[TestClient]:
    """The portal beside a service whose champion is loaded; its requests bring the key."""
    prediction.ensure()
    Project(home, spec).registry.set_champion(version)
    url = f"{home.prediction_url}/readyz"
    eventually(lambda: get(url).json()["projects"]["flights"]["champion"] == version)
    with TestClient(build(home), base_url=home.portal_url, headers=home.prefect_headers) as portal:
        yield portal


@pytest.fixture
def form(spec) -> dict[str, str]:
    """The filled form of a flight that the clock has come to."""
    values = {shown.name: shown.value for shown in forms.inputs(spec)}
    return values | {"sched_dep": "2013-01-12T12:00:00-05:00", "sched_arr": "2013-01-12T13:37:00-06:00"}


def logged(home, spec):
    return Project(home, spec).log.read(NOW - timedelta(days=1), NOW).set_index("id")


def test_a_filled_form_is_answered_with_reasons_and_logged(home, spec, version, client, form):
    answer = client.post("/projects/flights/try", data=form)
    assert answer.status_code == 200
    for text in ("probability of yes", "in log-odds", 'class="lowers"', "21 others"):
        assert text in answer.text
    assert f"Version {version}" in re.sub("<[^>]+>", "", answer.text)
    (asked,) = re.findall('data-asked="([^"]+)"', answer.text)
    assert logged(home, spec).loc[asked, "dest"] == "ORD"


def test_what_if_is_answered_and_not_logged_again(home, spec, client, form):
    asked = str(uuid4())
    first = client.post("/projects/flights/try", data=form | {"prediction_id": asked}).text
    rows = len(logged(home, spec))
    second = client.post("/projects/flights/try", data=form | {"prediction_id": asked, "dest": "BOS"}).text
    assert "&#34;dest&#34;: &#34;BOS&#34;" in second and first != second
    assert len(logged(home, spec)) == rows and logged(home, spec).loc[asked, "dest"] == "ORD"


def test_a_mistake_is_shown_at_its_field(client, form):
    answer = client.post("/projects/flights/try", data=form | {"sched_dep": "noon", "carrier": "B6"})
    assert answer.status_code == 400
    problems = dict(re.findall('id="problem-([a-z_]+)" class="wrong" hx-swap-oob="true">([^<]*)<', answer.text))
    assert "found &#39;noon&#39;" in problems.pop("sched_dep")
    assert set(problems.values()) == {""}


@pytest.fixture
def predictions(client, form) -> list[str]:
    """The ids of two predictions."""
    ids = [str(uuid4()) for _ in range(2)]
    for asked in ids:
        client.post("/projects/flights/try", data=form | {"prediction_id": asked}).raise_for_status()
    return ids


def label_of(home, spec, prediction: str) -> float:
    return logged(home, spec).loc[prediction, "label"]


def test_a_label_is_given_corrected_and_taken_back(home, spec, client, predictions):
    first, second = predictions
    url = f"/projects/flights/labels/{first}"
    assert f"late of {first} is yes" in client.post(url, data={"label": "1"}).text
    assert label_of(home, spec, first) == 1
    assert "is no, no longer yes" in client.post(url, data={"label": "0"}).text
    assert label_of(home, spec, first) == 0
    assert "is yes again" in client.post(f"{url}/undo").text
    assert label_of(home, spec, first) == 1
    assert client.post(f"{url}/undo").status_code == 409
    audit = [entry for entry in actions.entries(home.state_database, "flights") if entry.parameters]
    assert [(entry.action, entry.parameters["label"], entry.parameters["former"]) for entry in audit] == [
        ("label", 1, None),
        ("label", 0, 1),
        ("undo label", 1, 0),
    ]
    page = client.get("/projects/flights/labels").text
    assert f"labels/{first}" not in page and f"labels/{second}" in page and "is no, no longer yes" in page


def test_the_first_label_is_taken_back_to_none(home, spec, client, predictions):
    url = f"/projects/flights/labels/{predictions[0]}"
    client.post(url, data={"label": "1"}).raise_for_status()
    assert "has no label again" in client.post(f"{url}/undo").text
    assert math.isnan(label_of(home, spec, predictions[0]))
    assert url in client.get("/projects/flights/labels").text


def test_a_file_of_outcomes_is_recorded_and_says_what_it_replaces_and_refuses(home, spec, client, predictions):
    first, second = predictions
    client.post(f"/projects/flights/labels/{first}", data={"label": "1"}).raise_for_status()
    lines = ["prediction_id,label", f"{first},0", f"{second},1", f"{uuid4()},1", f"{second},maybe"]
    file = {"file": ("outcomes.csv", "\n".join(lines).encode())}
    answer = client.post("/projects/flights/labels", files=file).raise_for_status().text
    assert "2 labels recorded, 1 of them in place of another; 2 lines refused" in answer
    assert "line 5: found" in answer and "is not in the prediction log of flights" in answer
    assert [label_of(home, spec, name) for name in predictions] == [0, 1]
    assert actions.entries(home.state_database, "flights")[-1].parameters["replaced"] == {first: 1}
