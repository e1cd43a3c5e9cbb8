"""What every flow needs: the settings, the project, its instant, and when a retry makes sense."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from prefect import Flow, State, Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import FlowRun, TaskRun

from stack.core import disk
from stack.core.errors import StackError
from stack.core.settings import settings
from stack.project import Project

MINUTE = 60.0


def context(name: str, at: datetime | None = None) -> tuple[Project, datetime]:
    """The project and the instant (UTC) of a run: `at`, or the project's "now"."""
    project = Project.open(name)
    return project, (at or project.clock.now()).astimezone(UTC)


def may_pass(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Retry what can fail for a moment; a `StackError` needs the user first."""
    try:
        state.result()
    except StackError:
        return False
    except Exception:  # noqa: BLE001, S110  # any other failure may pass
        pass
    return True


MOMENTARY: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_condition_fn": may_pass,
    # Nothing is cached, yet Prefect would hash what a task is given: of a training set, seconds.
    "cache_policy": NO_CACHE,
}


def tell_full_disk(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Alarm when a run failed while the disk has no room left, whatever it was that failed for it."""
    from stack.core import alerts

    if disk.low(settings()):
        title = f"{flow_run.parameters['project']}: {flow.name} stopped, the disk is full"
        alerts.notify(settings(), title, str(state.message))
