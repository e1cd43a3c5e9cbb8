"""Prefect's server on SQLite goes on answering while its database is fought over, and to no page of another origin."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.polling import PATIENCE_SECONDS
from tests.stacks import prefect_api

WRITERS, RUNS, MOST_RUNS = 3, 20, 150
"""Runs that each writer creates at least, and at most until one was refused."""


@pytest.fixture
def api(prefect_service):
    return prefect_api(prefect_service.settings)


def test_server_answers_while_writers_fight_over_its_database(api):
    flow, answers = api.post("/flows/", json={"name": "any"}).json()["id"], set[int]()

    def write(_: int) -> None:
        fresh = httpx.Limits(max_keepalive_connections=0)  # the server hangs up after an error
        with httpx.Client(base_url=api.base_url, headers=api.headers, timeout=PATIENCE_SECONDS, limits=fresh) as client:
            for number in range(MOST_RUNS):
                if number >= RUNS and len(answers) > 1:
                    break
                answers.add(_run(client, flow))

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))

    assert answers == {httpx.codes.CREATED, httpx.codes.SERVICE_UNAVAILABLE}, "the writers did fight"


def test_page_of_another_origin_may_not_post_json(api):
    def preflight(origin: str) -> httpx.Response:
        headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        return api.options("/deployments/", headers={"Origin": origin, **headers})

    own = str(api.base_url).removesuffix("/api/")
    assert preflight("https://evil.example").status_code == httpx.codes.FORBIDDEN
    assert "access-control-allow-origin" not in preflight("https://evil.example").headers
    assert preflight(own).headers["access-control-allow-origin"] == own


def _run(client: httpx.Client, flow: str) -> int:
    """Create a run and end it; the status of the creation, which is refused where another writer was faster."""
    created = client.post("flow_runs/", json={"flow_id": flow, "state": {"type": "PENDING"}})
    if created.is_success:
        for state in ("RUNNING", "COMPLETED"):
            client.post(f"flow_runs/{created.json()['id']}/set_state", json={"state": {"type": state}})
    return created.status_code
