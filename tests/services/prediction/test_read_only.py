"""A stack that is read-only answers requests, logs none of them, and takes no label and no row."""

from datetime import UTC, datetime

import httpx
import pytest

from stack.core import settings
from stack.project import Project
from stack.specification import example
from tests.polling import eventually
from tests.services.conftest import get, post
from tests.stacks import Service, free_ports

pytestmark = pytest.mark.services


def test_answers_are_given_and_not_logged(home, spec, version):
    (port,) = free_ports(1)
    changes = {"STACK_READ_ONLY": "true", "STACK_PREDICTION_PORT": str(port), "STACK_PREDICTION_URL": ""}
    closed = settings.load(home.environment() | changes)
    project = Project(closed, spec)
    project.registry.set_champion(version)
    with Service(closed, "prediction", lambda: get(f"{closed.prediction_url}/readyz").is_success):
        url = f"{closed.prediction_url}/flights"
        row = example.row(spec)
        answer = eventually(lambda: (found := post(f"{url}/predict", {"rows": [row]})).is_success and found)
        (answered,) = answer.json()
        label = {"prediction_id": answered["prediction_id"], "label": 1}
        assert post(f"{url}/feedback", {"labels": [label]}).status_code == 403
        assert post(f"{url}/rows", {"rows": [row]}).status_code == 403
        assert httpx.put(url, trust_env=False).status_code == 403
    now = datetime.now(UTC)
    assert answered["prediction_id"] not in project.log.ids(datetime(2012, 1, 1, tzinfo=UTC), now)
