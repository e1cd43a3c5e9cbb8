"""What every flow needs: the instant of a run, when a retry makes sense, and the alarm about a full disk."""

from datetime import UTC, datetime
from typing import Any

from prefect import Flow, State, Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas import FlowRun, TaskRun

from stack.core import alerts, disk
from stack.core.errors import StackError, UnavailableError
from stack.core.settings import settings
from stack.project import Project

MINUTE = 60.0


def instant(project: Project, at: datetime | None = None) -> datetime:
    """Return the instant (UTC) of a run: `at`, or the project's "now"."""
    return (at or project.clock.now()).astimezone(UTC)


def artifact_key(project: str, name: str) -> str:
    """Return the key of a project's artifact: Prefect accepts lower case letters, digits and dashes."""
    return f"{project.replace('_', '-')}-{name}"


def is_transient(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    """Retry what may succeed later; a `StackError` needs the user first, unless something cannot be reached."""
    try:
        state.result()
    except StackError as error:
        return isinstance(error, UnavailableError)
    except Exception:  # noqa: BLE001, S110  # any other failure may be momentary
        pass
    return True


RETRIES: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_condition_fn": is_transient,
    # Nothing is cached, yet Prefect would hash the arguments of a task: of a training set, seconds.
    "cache_policy": NO_CACHE,
}


def alert_full_disk(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Alert when a run failed while the disk is full, whatever the error."""
    if disk.low(settings()):
        title = f"{flow_run.parameters['project']}: {flow.name} stopped, the disk is full"
        alerts.notify(settings(), title, str(state.message))
