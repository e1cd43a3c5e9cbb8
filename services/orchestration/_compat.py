"""Where the orchestration service reaches beneath Prefect's documented interface (https://docs.prefect.io)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from prefect.server.api import background_workers
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


def look_each_second() -> None:
    """Let the server's background tasks look for work once a second instead of four times.

    Tool: Prefect
    Reach: prefect.server.api.background_workers.Worker
    Why: Prefect makes the worker without arguments. Its tasks are due every few seconds, and looking for them was a
        quarter of what an idle server costs.
    Upstream: none known
    """
    second = timedelta(seconds=1)
    patched: Any = background_workers
    patched.Worker = partial(patched.Worker, minimum_check_interval=second, scheduling_resolution=second)
