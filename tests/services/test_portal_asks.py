"""The portal asks the real prediction service: the form is answered with reasons, logged once, and refused by field."""

import re
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from services.portal import forms
from services.portal.app import build
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
