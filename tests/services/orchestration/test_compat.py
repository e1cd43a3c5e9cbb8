"""What the orchestration service reaches into: a failure here names the tool that has changed."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from docket import Docket
from prefect.server.api import background_workers
from prefect.server.database import provide_database_interface
from prefect.server.services import db_vacuum, scheduler

from services.orchestration import _compat
from tests.reaches import reach


def test_prefect_plans_and_deletes_by_our_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (scheduler, db_vacuum):
        monkeypatch.setattr(module, "now", module.now)  # undone afterwards
    ours = datetime(2026, 3, 1, tzinfo=UTC)
    with reach("prefect", "prefect.server.services.scheduler.now"):
        _compat.set_time(lambda: ours)
        query = scheduler._get_select_deployments_to_schedule_query(
            provide_database_interface(), 10, 3, timedelta(hours=1)
        )
        assert ours in query.compile().params.values()
    with reach("prefect", "prefect.server.services.db_vacuum.now"):
        assert db_vacuum.now("UTC") == ours and "now" in db_vacuum.vacuum_old_flow_runs.__code__.co_names


def test_background_tasks_are_looked_for_seldom_and_begin_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_workers, "Worker", background_workers.Worker)  # undone afterwards
    done = asyncio.Event()

    async def task() -> None:
        done.set()

    async def run() -> None:
        async with Docket("any", "memory://") as docket, background_workers.Worker(docket) as worker:
            assert worker.minimum_check_interval == worker.scheduling_resolution == timedelta(seconds=5)
            running = asyncio.create_task(worker.run_forever())
            await docket.add(task)()
            await asyncio.wait_for(done.wait(), 3)
            running.cancel()

    with reach("prefect", "prefect.server.api.background_workers.Worker"):
        _compat.look_less_often()
        asyncio.run(run())
