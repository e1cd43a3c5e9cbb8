"""The worker runs the stack's own flows by its own command, whatever a caller of Prefect's API asks for."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services import flow_worker
from stack.core.settings import Settings
from tests.polling import eventually
from tests.stacks import prefect_api


@pytest.mark.parametrize(
    ("entrypoint", "pull_steps", "problem"),
    [
        ("flows.ingest.ingest", None, None),
        ("flows.ingest.ingest", [], None),
        ("flows.ingest.ingest", [{"prefect.deployments.steps.run_shell_script": {"script": "id"}}], "steps"),
        ("flows/ingest.py:ingest", None, "entrypoint"),
        ("os.system", None, "entrypoint"),
        ("flows.ingest.ingest:x", None, "entrypoint"),
        (None, None, "entrypoint"),
    ],
)
def test_only_own_deployments_are_run(entrypoint, pull_steps, problem):
    error = flow_worker.foreign(SimpleNamespace(entrypoint=entrypoint, pull_steps=pull_steps))
    assert (error is None) == (problem is None)
    assert problem is None or problem in str(error)


def test_a_run_without_a_deployment_is_foreign():
    assert flow_worker.foreign(None) == "no deployment"


def test_runs_of_a_schedule_wait_while_the_clock_is_ahead(tmp_path, monkeypatch):
    """A worker whose clock is a year ahead gets the next runs of each schedule, as if they were late."""
    now = datetime.now(UTC)
    given = [
        SimpleNamespace(flow_run=SimpleNamespace(auto_scheduled=by_schedule, next_scheduled_start_time=now + by))
        for by_schedule, by in ((True, timedelta()), (True, timedelta(days=1)), (False, timedelta(days=365)))
    ]

    async def scheduled(_: object) -> list[object]:
        return given

    monkeypatch.setattr(flow_worker.ProcessWorker, "_get_scheduled_flow_runs", scheduled)
    monkeypatch.setattr(flow_worker, "settings", lambda: Settings(home=tmp_path))
    monkeypatch.setattr(flow_worker.FlowWorker, "_prefetch_seconds", 10, raising=False)
    assert asyncio.run(object.__new__(flow_worker.FlowWorker)._get_scheduled_flow_runs()) == [given[0], given[2]]


def test_an_event_starts_a_run_and_a_lost_connection_is_made_again(monkeypatch):
    asked = asyncio.Event()
    connections = iter(["refused", "answers"])

    @asynccontextmanager
    async def subscriber(*_: object, **__: object):
        if next(connections) == "refused":
            raise OSError

        async def events():
            yield "scheduled"
            await asyncio.Event().wait()

        yield events()

    async def ask(_: object) -> list[object]:
        asked.set()
        return []

    async def run() -> None:
        worker = object.__new__(flow_worker.FlowWorker)
        worker._asking = asyncio.Lock()
        listening = asyncio.create_task(worker._listen())
        await asyncio.wait_for(asked.wait(), 20)
        listening.cancel()

    monkeypatch.setattr(flow_worker, "get_events_subscriber", subscriber)
    monkeypatch.setattr(flow_worker, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(flow_worker.ProcessWorker, "get_and_submit_flow_runs", ask)
    asyncio.run(run())


@pytest.mark.services
@pytest.mark.parametrize("attack", ["foreign flow", "command of an own deployment", "pull steps"])
def test_commands_of_a_caller_are_not_run(running: Settings, tmp_path: Path, attack: str) -> None:
    proof = tmp_path / "proof"
    command = f"sh -c 'id > {proof}'"
    with prefect_api(running) as api:

        def created(path: str, **body: Any) -> str:
            return str(eventually(lambda: api.post(path, json=body).raise_for_status().json()["id"]))

        if attack == "command of an own deployment":
            deployment = str(api.get("/deployments/name/report/flights").json()["id"])
            run = {"job_variables": {"command": command, "env": {"PATH": str(tmp_path)}, "working_dir": str(tmp_path)}}
        else:
            steps = [{"prefect.deployments.steps.run_shell_script": {"script": command}}]
            foreign = {"pull_steps": steps} if attack == "pull steps" else {"entrypoint": "os.system"}
            own = {"name": attack, "entrypoint": "flows.report.report", "work_pool_name": "stack"}
            flow = created("/flows/", name=attack)
            deployment = created("/deployments/", **(own | foreign | {"flow_id": flow}))
            run = {}
        answer = api.post(f"/deployments/{deployment}/create_flow_run", json=run)
        if answer.is_success:
            path = f"/flow_runs/{answer.json()['id']}"
            begun = ("RUNNING", "CRASHED", "FAILED", "COMPLETED", "CANCELLED")
            eventually(lambda: api.get(path).json()["state"]["type"] in begun)
            api.post(f"{path}/set_state", json={"state": {"type": "CANCELLING"}})
        if attack != "command of an own deployment":
            api.delete(f"/deployments/{deployment}")
    assert not proof.exists()
