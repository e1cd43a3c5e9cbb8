"""Look every minute whether all is well, and raise an alarm when it is not: a page may not be opened for weeks.

What is looked at is the list of :mod:`stack.ops.health`. A flow raises the alarms of what it detects itself (a refused
batch, drift, a silent source) at once.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import httpx

from stack.core import alerts
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.ops import health

logger = logging.getLogger(__name__)
CHECK_SECONDS = 60.0
NEEDED, CHECKS = 4, 60
"""A momentary problem raises an alarm when so many of the last so many checks saw it: a restart does not."""
AGAIN = timedelta(days=1)
"""The alarm of a problem that lasts is repeated after so long."""


class Watch:
    """Remembers what the last checks saw, and which alarms were raised."""

    def __init__(self) -> None:
        self._checks: deque[set[str]] = deque(maxlen=CHECKS)
        self._raised: dict[str, datetime] = {}

    def due(self, problems: Iterable[Problem], now: datetime) -> dict[str, str]:
        """Return the alarms that are due after a check at `now` that saw these problems, title -> text."""
        problems = list(problems)
        self._checks.append({problem.title for problem in problems})
        alarms = {
            problem.title: f"{problem.text}\n\n{problem.todo}"
            for problem in problems
            if not problem.momentary or sum(problem.title in check for check in self._checks) >= NEEDED
            if self._is_due(problem.title, now)
        }
        over = self._raised.keys() - set[str]().union(*self._checks)
        for title in over:
            del self._raised[title]
        self._raised |= dict.fromkeys(alarms, now)
        return alarms | {f"over: {title}": "Not seen for an hour." for title in over}

    def _is_due(self, title: str, now: datetime) -> bool:
        """Return whether the last alarm is long ago, or by a clock that was set back ahead of us."""
        return title not in self._raised or not timedelta() <= now - self._raised[title] < AGAIN


async def forever(settings: Settings, client: httpx.AsyncClient) -> None:
    """Check, raise the alarms, and wait, until cancelled."""
    watch = Watch()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        now = datetime.now(UTC)
        try:
            problems = await health.problems(settings.renewed(), client, now)
            for title, text in watch.due(problems, now).items():
                await asyncio.to_thread(alerts.notify, settings, title, text)
        except Exception:
            logger.exception("this check failed, the next one is in %s s", CHECK_SECONDS)
