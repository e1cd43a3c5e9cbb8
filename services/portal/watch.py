"""Check every few minutes whether all is well, and raise an alarm when it is not: a page may not be opened for weeks.

A flow that fails, a service that does not answer or restarts repeatedly, runs that no worker takes up, a disk that
fills. A flow raises the alarms of what it detects itself (a refused batch, drift, a silent source).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from services.portal.tools import ask, inside, tools
from stack.core import alerts, disk
from stack.core.settings import Settings
from stack.ops.local import launch

logger = logging.getLogger(__name__)
CHECK_SECONDS = 300.0
NEEDED, CHECKS = 3, 12
"""An alarm is raised when so many of the last so many checks saw a problem: a restart is none, flapping is."""
AGAIN = timedelta(days=1)
"""The alarm of a problem that lasts is repeated after so long."""
STARTS, STARTS_SECONDS = 5, 3600.0
"""It is a problem when a service was started so often within so many seconds."""
PAST, PATIENCE = timedelta(days=8), timedelta(minutes=30)
"""How long a failed run counts that no good run has followed; how late a run may begin."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
CANCELLED_IN_A_ROW = 3


class Watch:
    """Remembers what the last checks saw, and which alarms were raised."""

    def __init__(self) -> None:
        self._checks: deque[set[str]] = deque(maxlen=CHECKS)
        self._raised: dict[str, datetime] = {}

    def due(self, problems: Mapping[str, str], now: datetime) -> dict[str, str]:
        """Return the alarms that are due after a check at `now` that saw these problems, both title -> text."""
        self._checks.append(set(problems))
        alarms = {
            title: text
            for title, text in problems.items()
            if sum(title in check for check in self._checks) >= NEEDED
            and now - self._raised.get(title, now - AGAIN) >= AGAIN
        }
        over = self._raised.keys() - set[str]().union(*self._checks)
        for title in over:
            del self._raised[title]
        self._raised |= dict.fromkeys(alarms, now)
        return alarms | {f"over: {title}": "Not seen for an hour." for title in over}


async def forever(settings: Settings, client: httpx.AsyncClient) -> None:
    """Check, raise the alarms, and wait, until cancelled."""
    watch = Watch()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        now = datetime.now(UTC)
        try:
            for title, text in watch.due(await problems(settings, client, now), now).items():
                await asyncio.to_thread(alerts.notify, settings, title, text)
        except Exception:
            logger.exception("this check failed, the next one is in %s s", CHECK_SECONDS)


async def problems(settings: Settings, client: httpx.AsyncClient, now: datetime) -> dict[str, str]:
    """Return what is wrong at this moment: title -> text."""
    states = {tool.title: await ask(client, settings, tool) for tool in tools(settings)}
    down = {f"{title} does not answer": state.reason for title, state in states.items() if not state.up}
    full = {"the disk fills up": disk.free_space(settings)} if disk.filling(settings) else {}
    try:
        failing = await runs(client, settings, now)
    except (httpx.HTTPError, ValueError):  # the check of Prefect itself has reported it
        failing = {}
    return down | full | restarts(settings, time.time()) | failing


def restarts(settings: Settings, now: float) -> dict[str, str]:
    """Return the services that supervisord restarts repeatedly; of containers this is not known here."""
    counts = {
        path.stem: sum(float(line.split()[0]) > now - STARTS_SECONDS for line in path.read_text().splitlines())
        for path in settings.run.glob(launch.starts(Path("*")).name)
    }
    return {
        f"{service} starts again and again": f"{count} times within an hour: make logs SERVICE={service}"
        for service, count in counts.items()
        if count >= STARTS
    }


async def runs(client: httpx.AsyncClient, settings: Settings, now: datetime) -> dict[str, str]:
    """Return the flows that fail when they start by themselves, and the runs that no worker takes up."""
    unsuccessful = {
        "state": {"type": {"any_": [state for state in ENDED if state != "COMPLETED"]}},
        "end_time": {"after_": (now - PAST).isoformat()},
    }
    failing: dict[str, str] = {}
    for deployment in {run["deployment_id"] for run in await _runs(client, settings, unsuccessful, 200)} - {None}:
        last = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ENDED}}}
        if failure := failure_of(await _runs(client, settings, last, CANCELLED_IN_A_ROW)):
            answer = await client.get(
                f"{inside(settings, 'prefect')}/api/deployments/{deployment}", headers=settings.prefect_headers
            )
            if answer.status_code == httpx.codes.NOT_FOUND:  # deleted with its project; Prefect keeps its runs
                continue
            body = answer.raise_for_status().json()
            flow = str(body["entrypoint"]).rpartition(".")[2]
            failing[f"{body['name']}: {flow} {failure[0]}"] = failure[1]
    late = {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": {"before_": (now - PATIENCE).isoformat()}}
    if waiting := await _runs(client, settings, late, 200):
        failing["runs are not taken up"] = f"{len(waiting)} are late. Look with `make status`."
    return failing


def failure_of(last: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Return what is wrong with a flow by its last runs, newest first; whoever starts a run by hand sees it fail."""
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
