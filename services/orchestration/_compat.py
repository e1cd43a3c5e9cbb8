"""Where the orchestration service reaches beneath Prefect's documented interface (https://docs.prefect.io)."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from prefect.server.api import background_workers
from prefect.server.services import db_vacuum, scheduler

LOOK = timedelta(seconds=5)


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


def look_less_often() -> None:
    """Let the server's background tasks look for work every five seconds, and listen for no cancellation.

    Tool: Prefect
    Reach: prefect.server.api.background_workers.Worker, docket.worker.Worker._cancellation_listener
    Why: Prefect makes the worker without arguments. It looks four times a second for tasks that are due every few
        seconds or minutes, and ten times a second whether one is to be cancelled, which Prefect never asks for: that
        was a third of what an idle server costs. A task that is due at once is not waited for.
    Upstream: none known
    """
    patched: Any = background_workers
    quiet = type("Worker", (patched.Worker,), {"_cancellation_listener": _wait_for_end})
    patched.Worker = partial(quiet, minimum_check_interval=LOOK, scheduling_resolution=LOOK)


async def _wait_for_end(worker: Any) -> None:
    """Let a worker begin, and wait until it stops."""
    session = worker._processing_session
    session.cancellation_ready.set()
    await session.stopping.wait()
