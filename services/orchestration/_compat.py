"""Where the orchestration service reaches beneath Prefect's documented interface (https://docs.prefect.io)."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from prefect.server.services import db_vacuum, scheduler


def set_time(now: Callable[[], datetime]) -> None:
    """Let the server plan schedules, and delete old runs and events, by a time of ours.

    Tool: Prefect
    Reach: prefect.server.services.scheduler.now, prefect.server.services.db_vacuum.now
    Why: A clock that is a year ahead for a minute would delete every run, and plan the next ones for that year: the
    scheduler counts them, and plans none before.
    Upstream: none known
    """

    def bounded(_: str = "UTC") -> datetime:
        return now()

    modules: tuple[Any, ...] = (scheduler, db_vacuum)
    for module in modules:
        module.now = bounded
