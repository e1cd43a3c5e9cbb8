"""The watch raises an alarm of what lasts, once a day, and of nothing that passes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.portal import watch
from services.portal.watch import Watch
from stack.core import disk
from stack.core.settings import Settings
from tests.services.portal.conftest import home  # noqa: F401  # a stack of which no service runs
from tests.stacks import prefect_api

NOW, LOOK = datetime(2026, 1, 1, tzinfo=UTC), timedelta(minutes=5)


def alarms(looks: list[str]) -> list[tuple[int, str]]:
    """Number of the check and title of each alarm; `looks` say what the checks saw: m for MLflow, d for the disk."""
    watching = Watch()
    return [
        (number, title)
        for number, look in enumerate(looks)
        for title in watching.due(dict.fromkeys(look.strip("-"), "text"), NOW + number * LOOK)
    ]


def test_a_restart_raises_no_alarm_and_what_lasts_does():
    assert alarms(["m", "m", *["-"] * 20]) == []
    assert alarms(["m", "-", "md", "d", "m", "d"]) == [(4, "m"), (5, "d")]


def test_what_lasts_raises_an_alarm_once_a_day_and_so_does_its_end():
    day = 24 * 12
    raised = alarms([*["m"] * (2 * day + 10), *["-"] * 20, "m", "m", "m"])

    over = 2 * day + 10 + watch.CHECKS - 1
    assert raised == [(2, "m"), (day + 2, "m"), (2 * day + 2, "m"), (over, "over: m"), (2 * day + 32, "m")]


def run(state: str, *, scheduled: bool = True, by: str | None = None) -> dict[str, object]:
    """A run as Prefect's API gives it."""
    return {
        "auto_scheduled": scheduled,
        "created_by": {"type": by} if by else None,
        "state_type": state,
        "state_name": state.title(),
        "state": {"message": "why"},
    }


@pytest.mark.parametrize(
    ("last", "title"),
    [
        ([run("FAILED"), run("COMPLETED")], "fails"),
        ([run("CRASHED", scheduled=False, by="AUTOMATION")], "fails"),
        ([run("COMPLETED"), run("FAILED"), run("FAILED")], None),
        ([run("FAILED", scheduled=False)], None),
        ([run("CANCELLED"), run("FAILED")], None),
        ([run("CANCELLED")] * 3, "is cancelled each time"),
    ],
)
def test_the_last_run_of_a_flow_decides(last, title):
    failure = watch.failure_of(last)

    assert (failure and failure[0]) == title


def test_everything_that_is_down_is_seen(home: Settings, monkeypatch):
    home.run.mkdir()
    (home.run / "mlflow.starts").write_text("".join(f"{1000.0 + second} 1\n" for second in range(5)))
    monkeypatch.setattr(disk, "WARNING", 2**62)

    async def look() -> dict[str, str]:
        async with httpx.AsyncClient() as client:
            return await watch.problems(home, client, NOW)

    problems = asyncio.run(look())
    assert {"MLflow does not answer", "Prefect worker does not answer", "the disk fills up"} <= set(problems)
    assert "MiB free" in problems["the disk fills up"]
    assert watch.restarts(home, 1010.0) == {
        "mlflow starts again and again": "5 times within an hour: make logs SERVICE=mlflow"
    }
    assert watch.restarts(home, 1010.0 + watch.STARTS_SECONDS) == {}


@pytest.mark.services
def test_a_running_stack_answers_the_queries(running: Settings, monkeypatch):
    monkeypatch.setattr(disk, "WARNING", 0)

    async def look() -> tuple[dict[str, str], dict[str, str]]:
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            problems = await watch.runs(client, running, datetime.now(UTC))
            return problems, await watch.problems(running, client, datetime.now(UTC))

    runs, problems = asyncio.run(look())
    assert "runs are not taken up" not in runs
    assert [title for title in problems if title.endswith(("answer", "up"))] == []


@pytest.mark.services
def test_the_runs_of_a_project_that_is_gone_hide_no_others(running: Settings):
    """Prefect keeps the runs of a deployment that is deleted."""

    def look() -> dict[str, str]:
        async def ask() -> dict[str, str]:
            async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
                return await watch.runs(client, running, datetime.now(UTC))

        return asyncio.run(ask())

    with prefect_api(running) as prefect:

        def post(path: str, **body: object) -> str:
            return prefect.post(path, json=body).raise_for_status().json()["id"]

        flow = post("/flows/", name="gone")
        deployment = post("/deployments/", name="gone", flow_id=flow, entrypoint="flows.gone.gone")
        for _ in range(watch.CANCELLED_IN_A_ROW):
            post(f"/deployments/{deployment}/create_flow_run", state={"type": "CANCELLED", "message": "why"})
        before = look()
        prefect.delete(f"/deployments/{deployment}").raise_for_status()
        after = look()
        prefect.delete(f"/flows/{flow}").raise_for_status()

    assert before == after | {"gone: gone is cancelled each time": "why"}
