"""The watch raises an alarm of what lasts, once a day, and of nothing that passes."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.portal import watch
from services.portal.watch import Watch
from stack.core import disk
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.ops import health
from tests.services.portal.conftest import home  # noqa: F401  # a stack of which no service runs
from tests.stacks import prefect_api

NOW, LOOK = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=watch.CHECK_SECONDS)


def alarms(looks: list[str]) -> list[tuple[int, str]]:
    """Number of the check and title of each alarm; `looks` say what the checks saw: m for MLflow, D for the disk."""
    watching = Watch()
    return [
        (number, title)
        for number, look in enumerate(looks)
        for title in watching.due([seen(letter) for letter in look.strip("-")], NOW + number * LOOK)
    ]


def seen(title: str) -> Problem:
    """What a check saw; a service may come back by itself."""
    return Problem(title, "text", "what to do", momentary=title.islower())


def test_a_restart_raises_no_alarm_and_what_lasts_does():
    few = ["m"] * (watch.NEEDED - 1)
    assert alarms([*few, *["-"] * 20]) == []
    assert alarms([*few, "-", "-", "m"]) == [(watch.NEEDED + 1, "m")]


def test_what_does_not_pass_by_itself_raises_an_alarm_at_once_with_what_to_do():
    assert alarms(["D", "D"]) == [(0, "D")]
    assert Watch().due([seen("D")], NOW) == {"D": "text\n\nwhat to do"}


def test_a_clock_that_is_set_back_silences_no_alarm():
    watching = Watch()
    assert watching.due([seen("D")], NOW)
    assert watching.due([seen("D")], NOW - timedelta(days=365))


def test_what_lasts_raises_an_alarm_once_a_day_and_so_does_its_end():
    day, first = timedelta(days=1) // LOOK, watch.NEEDED - 1
    raised = alarms([*["m"] * (2 * day + 10), *["-"] * 70, *["m"] * watch.NEEDED])

    over = 2 * day + 10 + watch.CHECKS - 1
    assert raised == [
        *((first + days * day, "m") for days in range(3)),
        (over, "over: m"),
        (2 * day + 80 + first, "m"),
    ]


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
    failure = health.failure_of(last)

    assert (failure and failure[0]) == title


def titles(settings: Settings) -> dict[str, Problem]:
    return {problem.title: problem for problem in asyncio.run(health.of_this_moment(settings, datetime.now(UTC)))}


def test_everything_that_is_down_is_seen(home: Settings, monkeypatch):
    home.run.mkdir()
    (home.run / "mlflow.starts").write_text("".join(f"{1000.0 + second} 1\n" for second in range(5)))
    monkeypatch.setattr(disk, "WARNING", 2**62)

    problems = titles(home)
    assert {"MLflow does not answer", "Prefect worker does not answer", "the disk fills up"} <= set(problems)
    assert "GiB free" in problems["the disk fills up"].text
    assert problems["Prefect worker does not answer"].todo == "make logs SERVICE=worker"
    assert health.restarts(home, 1010.0) == [
        Problem("mlflow starts again and again", "5 times within an hour", "make logs SERVICE=mlflow")
    ]
    assert health.restarts(home, 1010.0 + health.STARTS_SECONDS) == []


@pytest.mark.services
def test_a_running_stack_answers_the_queries(running: Settings, monkeypatch):
    monkeypatch.setattr(disk, "WARNING", 0)
    assert [title for title in titles(running) if title.endswith(("answer", "up"))] == []


@pytest.mark.services
def test_the_runs_of_a_project_that_is_gone_hide_no_others(running: Settings):
    """Prefect keeps the runs of a deployment that is deleted."""

    def look() -> set[str]:
        async def ask() -> set[str]:
            async with health.client() as client:
                return {problem.title for problem in await health.runs(client, running, datetime.now(UTC))}

        return asyncio.run(ask())

    with prefect_api(running) as prefect:

        def post(path: str, **body: object) -> str:
            return prefect.post(path, json=body).raise_for_status().json()["id"]

        flow = post("/flows/", name="gone")
        deployment = post("/deployments/", name="gone", flow_id=flow, entrypoint="flows.gone.gone")
        for _ in range(health.CANCELLED_IN_A_ROW):
            post(f"/deployments/{deployment}/create_flow_run", state={"type": "CANCELLED", "message": "why"})
        before = look()
        prefect.delete(f"/deployments/{deployment}").raise_for_status()
        after = look()
        prefect.delete(f"/flows/{flow}").raise_for_status()

    assert before == after | {"gone: gone is cancelled each time"}
