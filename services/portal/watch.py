"""Look every few minutes whether all is well, and raise an alarm when it is not: for weeks nobody opens a page.

A flow that fails, a service that does not answer or starts again and again, runs that nobody takes up, a disk that
fills. What a flow finds out by itself (a refused batch, drift, a silent source) it tells itself.
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
LOOK_SECONDS = 300.0
OFTEN, LOOKS = 3, 12
"""A trouble is told when so many of the last so many looks saw it: a restart is none, a service that flaps is."""
AGAIN = timedelta(days=1)
"""A trouble that lasts is told again after so long."""
STARTS, STARTS_SECONDS = 5, 3600.0
"""A service is in trouble that was started so often within so many seconds."""
PAST, PATIENCE = timedelta(days=8), timedelta(minutes=30)
"""How long a failed run matters that no good one has followed; how late a run may begin."""
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
CANCELLED_IN_A_ROW = 3


class Watch:
    """Remembers what the last looks saw, and what has been told."""

    def __init__(self) -> None:
        self._looks: deque[set[str]] = deque(maxlen=LOOKS)
        self._told: dict[str, datetime] = {}

    def news(self, troubles: Mapping[str, str], now: datetime) -> dict[str, str]:
        """What is to be told after one more look: title -> text.

        Args:
            troubles: what the look saw, title -> text.
            now: its instant.
        """
        self._looks.append(set(troubles))
        fresh = {
            title: text
            for title, text in troubles.items()
            if sum(title in look for look in self._looks) >= OFTEN
            and (title not in self._told or now - self._told[title] >= AGAIN)
        }
        over = {title for title in self._told if not any(title in look for look in self._looks)}
        self._told |= dict.fromkeys(fresh, now)
        for title in over:
            del self._told[title]
        return fresh | {f"over: {title}": "Not seen for an hour." for title in over}


async def forever(settings: Settings, client: httpx.AsyncClient) -> None:
    """Look, tell, and wait, until cancelled."""
    watch = Watch()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = datetime.now(UTC)
        try:
            for title, text in watch.news(await troubles(settings, client, now), now).items():
                await asyncio.to_thread(alerts.notify, settings, title, text)
        except Exception:
            logger.exception("this look failed, the next one is in %s s", LOOK_SECONDS)


async def troubles(settings: Settings, client: httpx.AsyncClient, now: datetime) -> dict[str, str]:
    """What is wrong at this moment: title -> text."""
    found = {}
    for tool in tools(settings):
        state = await ask(client, settings, tool)
        if not state.up:
            found[f"{tool.title} does not answer"] = state.reason
    if disk.filling(settings):
        found["the disk fills up"] = disk.free_space(settings)
    found |= restarts(settings, time.time())
    try:
        return found | await runs(client, f"{inside(settings, 'prefect')}/api", now)
    except (httpx.HTTPError, ValueError):  # the look at Prefect itself has told it
        return found


def restarts(settings: Settings, now: float) -> dict[str, str]:
    """The services that supervisord has started again and again; in containers it is not known here."""
    found = {}
    for noted in settings.run.glob(launch.starts(Path("*")).name):
        count = sum(float(line.split()[0]) > now - STARTS_SECONDS for line in noted.read_text().splitlines())
        if count >= STARTS:
            found[f"{noted.stem} starts again and again"] = (
                f"{count} times within an hour: make logs SERVICE={noted.stem}"
            )
    return found


async def runs(client: httpx.AsyncClient, api: str, now: datetime) -> dict[str, str]:
    """The flows that fail when they start by themselves, and the runs that no worker takes up."""
    question = {
        "state": {"type": {"any_": [state for state in ENDED if state != "COMPLETED"]}},
        "end_time": {"after_": (now - PAST).isoformat()},
    }
    bad = await _asked(client, f"{api}/flow_runs/filter", question, 200)
    found: dict[str, str] = {}
    for deployment in {run["deployment_id"] for run in bad if run["deployment_id"]}:
        last = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ENDED}}}
        if reason := judged(await _asked(client, f"{api}/flow_runs/filter", last, CANCELLED_IN_A_ROW)):
            answer = await client.get(f"{api}/deployments/{deployment}")
            if answer.status_code == httpx.codes.NOT_FOUND:  # withdrawn: its project is gone, its runs are not
                continue
            known = answer.raise_for_status().json()
            flow = str(known["entrypoint"]).rpartition(".")[2]
            found[f"{known['name']}: {flow} {reason[0]}"] = reason[1]
    late = {"state": {"name": {"any_": ["Late"]}}, "expected_start_time": {"before_": (now - PATIENCE).isoformat()}}
    if waiting := await _asked(client, f"{api}/flow_runs/filter", late, 200):
        found["runs are not taken up"] = f"{len(waiting)} are late. Look with `make status`."
    return found


def judged(last: list[dict[str, Any]]) -> tuple[str, str] | None:
    """What is wrong with a flow by its last runs, the newest first; one started by hand has somebody who looks."""
    newest = last[0]
    itself = newest["auto_scheduled"] or (newest.get("created_by") or {}).get("type") == "AUTOMATION"
    if itself and newest["state_type"] in ("FAILED", "CRASHED"):
        return "fails", f"{newest['state_name']}: {newest['state']['message']}"
    if len(last) == CANCELLED_IN_A_ROW and {run["state_type"] for run in last} == {"CANCELLED"}:
        return "is cancelled each time", str(newest["state"]["message"])
    return None


async def _asked(client: httpx.AsyncClient, url: str, question: Mapping[str, Any], limit: int) -> list[dict[str, Any]]:
    body = {"flow_runs": question, "sort": "END_TIME_DESC", "limit": limit}
    answer = await client.post(url, json=body)
    found: list[dict[str, Any]] = answer.raise_for_status().json()
    return found
