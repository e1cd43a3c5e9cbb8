"""The services in containers refuse foreign pages and hosts as the processes do, and Prefect wants its key."""

import httpx
import pytest

from tests import foreigners
from tests.compose.conftest import Containers
from tests.polling import PATIENCE_SECONDS
from tests.stacks import prefect_api

pytestmark = pytest.mark.services


def test_every_published_service_refuses_foreigners(containers: Containers) -> None:
    foreigners.assert_refused(foreigners.urls(containers.settings))


def test_prefect_wants_its_key(containers: Containers) -> None:
    url = f"{containers.settings.prefect_url}/api/work_pools/filter"
    assert httpx.post(url, json={}, timeout=PATIENCE_SECONDS, trust_env=False).status_code == 401
    assert prefect_api(containers.settings).post("/work_pools/filter", json={}).status_code == 200
