"""The one list of what is wrong: `status`, `doctor`, the home page and the watch, which raises alarms, all read it."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from stack.core import disk, wall_clock
from stack.core.problems import Problem, recorded
from stack.core.settings import Settings
from stack.ops import scheduled
from stack.ops.local import launch
from stack.ops.runs import ENDED
from stack.ops.tools import TIMEOUT_SECONDS, ask, inside, tools
from stack.specification import specs
from stack.validation import quarantine

STARTS, STARTS_SECONDS = 5, 3600.0
"""It is a problem when a service was started so often within so many seconds."""
PAST, PATIENCE = timedelta(days=8), timedelta(minutes=30)
"""How long a failed run counts that no good run has followed; how late a run may begin."""
BACKUP_AGE = timedelta(days=2)
"""The last good backup of a stack that makes one daily is younger."""
CANCELLED_IN_A_ROW = 3


def client() -> httpx.AsyncClient:
    """Return a client for the stack's own services, to which the proxies of the user's shell do not lead."""
    return httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False)


async def of_this_moment(settings: Settings, now: datetime) -> list[Problem]:
    """Return the problems, asked by a client of its own."""
    async with client() as own:
        return await problems(settings, own, now)


def of_home_page(settings: Settings) -> list[Problem]:
    """Return the problems that the home page shows; that it does not answer is one."""
    url = settings.address("portal")
    try:
        answer = httpx.get(f"{url}/problems.json", timeout=10 * TIMEOUT_SECONDS, trust_env=False)
        return [Problem(**problem) for problem in answer.raise_for_status().json()]
    except (httpx.HTTPError, ValueError, TypeError) as error:
        text = str(error) or type(error).__name__
        return [Problem("the home page does not answer", f"{url}: {text}", "make logs SERVICE=portal")]


async def problems(settings: Settings, client: httpx.AsyncClient, now: datetime) -> list[Problem]:
    """Return what is wrong with a running stack, every service and project of it, the gravest first."""
    asked = await asyncio.gather(_silent(client, settings), _unserved(client, settings), runs(client, settings, now))
    known = await asyncio.to_thread(lambda: [*standing(settings, now), *restarts(settings, time.time())])
    return [*known, *(problem for part in asked for problem in part)]


def standing(settings: Settings, now: datetime) -> list[Problem]:
    """Return what is wrong by the files of a home, whether the stack runs or not."""
    names = specs.names()
    found = (
        problem
        for check, problem in recorded(settings)
        if not check.startswith(quarantine.SILENCE) or check.removeprefix(quarantine.SILENCE) in names
    )
    refused = (problem for name in names for problem in quarantine.refused(settings, name, now - PAST))
    return [*wall_clock.problems(settings), *disk.problems(settings), *backup(settings, now), *found, *refused]


def backup(settings: Settings, now: datetime) -> Iterator[Problem]:
    """Yield what is wrong with the last backup, by the record that it leaves."""
    if not settings.backup_daily:
        return
    if (record := scheduled.read(settings)) is None:
        return
    if record.problem:
        yield Problem("the backup failed", record.problem, "fix the cause; the next attempt is automatic")
    if record.verify_problem:
        yield Problem("the last backup cannot be restored", record.verify_problem, "fix the cause, then `make backup`")
    last = record.at or record.since
    if now - last > BACKUP_AGE and not record.problem:
        yield Problem("no backup is made", f"The last one is of {last.isoformat()[:16]}.", "make logs SERVICE=backups")


def restarts(settings: Settings, now: float) -> list[Problem]:
    """Return the services that supervisord restarts repeatedly; of containers this is not known here."""
    counts = {
        path.stem: sum(float(line.split()[0]) > now - STARTS_SECONDS for line in path.read_text().splitlines())
        for path in settings.run.glob(launch.starts(Path("*")).name)
    }
    return [
        Problem(f"{name} starts again and again", f"{count} times within an hour", f"make logs SERVICE={name}")
        for name, count in counts.items()
        if count >= STARTS
    ]


async def _silent(client: httpx.AsyncClient, settings: Settings) -> list[Problem]:
    """Return the services that do not answer."""
    asked = tools(settings)
    states = await asyncio.gather(*(ask(client, settings, tool) for tool in asked))
    return [
        Problem(f"{tool.title} does not answer", state.reason, f"make logs SERVICE={tool.log}", momentary=True)
        for tool, state in zip(asked, states, strict=True)
        if not state.up
    ]


async def _unserved(client: httpx.AsyncClient, settings: Settings) -> list[Problem]:
    """Return the projects that the prediction service does not serve as registry and files say."""
    try:
        answer = await client.get(f"{inside(settings, 'prediction')}/readyz")
        projects: dict[str, Any] = answer.raise_for_status().json()["projects"]
    except (httpx.HTTPError, ValueError, KeyError):  # the service itself has been reported
        return []
    todo = "see `make logs SERVICE=prediction`, and fix what it names; the next attempt is automatic"
    return [
        Problem(f"{name}: predictions", state["problem"], todo, momentary=True)
        for name, state in projects.items()
        if state["problem"]
    ]


async def runs(client: httpx.AsyncClient, settings: Settings, now: datetime) -> list[Problem]:
    """Return the flows that fail when they start by themselves, and the late runs."""
    unsuccessful = {
        "state": {"type": {"any_": [state for state in ENDED if state != "COMPLETED"]}},
        "end_time": {"after_": (now - PAST).isoformat()},
    }
    late = {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": {"before_": (now - PATIENCE).isoformat()}}
    try:
        failed = await _runs(client, settings, unsuccessful, 200)
        failing = [
            problem
            for deployment in sorted({str(run["deployment_id"]) for run in failed if run["deployment_id"]})
            if (problem := await _failing(client, settings, deployment))
        ]
        waiting = await _runs(client, settings, late, 200)
    except (httpx.HTTPError, ValueError):  # Prefect itself has been reported
        return []
    if waiting:
        failing.append(Problem("runs are late", f"{len(waiting)} have not begun", "make logs SERVICE=worker"))
    return failing


async def _failing(client: httpx.AsyncClient, settings: Settings, deployment: str) -> Problem | None:
    last = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ENDED}}}
    failure = failure_of(await _runs(client, settings, last, CANCELLED_IN_A_ROW))
    if failure is None:
        return None
    url = f"{inside(settings, 'prefect')}/api/deployments/{deployment}"
    answer = await client.get(url, headers=settings.prefect_headers)
    if answer.status_code == httpx.codes.NOT_FOUND:  # deleted with its project; Prefect keeps its runs
        return None
    body = answer.raise_for_status().json()
    flow, name = str(body["entrypoint"]).rpartition(".")[2], body["name"]
    return Problem(f"{name}: {flow} {failure[0]}", failure[1], f"fix the cause, then `make {flow} PROJECT={name}`")


def failure_of(last: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Return what is wrong with a flow by its last runs, newest first; a run that a person starts is left out."""
    newest = last[0]
    by_itself = newest["auto_scheduled"] or (newest.get("created_by") or {}).get("type") == "AUTOMATION"
    if by_itself and newest["state_type"] in ("FAILED", "CRASHED"):
        return "fails", f"{newest['state_name']}: {newest['state']['message']}"
    if len(last) == CANCELLED_IN_A_ROW and {run["state_type"] for run in last} == {"CANCELLED"}:
        return "is cancelled each time", str(newest["state"]["message"])
    return None


async def _runs(
    client: httpx.AsyncClient, settings: Settings, criteria: Mapping[str, Any], limit: int
) -> list[dict[str, Any]]:
    url = f"{inside(settings, 'prefect')}/api/flow_runs/filter"
    body = {"flow_runs": criteria, "sort": "END_TIME_DESC", "limit": limit}
    answer = await client.post(url, json=body, headers=settings.prefect_headers)
    runs: list[dict[str, Any]] = answer.raise_for_status().json()
    return runs
