"""Roll back to the previous version; ``make rollback`` does the same without Prefect."""

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from flows.common import MINUTE, RETRIES, instant
from stack.project import Project
from stack.promotion.decisions import DecisionTime


@task(timeout_seconds=5 * MINUTE, cache_policy=NO_CACHE)
def go_back(project: Project, reason: str, wall: datetime) -> None:
    """Make the previous version champion; not retried, as a second rollback is another decision."""
    from stack.promotion import rollout

    rollout.roll_back_and_wait(project, DecisionTime(instant(project), wall), reason, get_run_logger().info)


@task(timeout_seconds=10 * MINUTE, **RETRIES)
def review_rollout(project: Project, at: datetime, wall: datetime) -> None:
    """End a canary whose time is over, and roll back a new champion that does worse than the one before."""
    from stack.promotion import rollout

    if entry := rollout.review(project, DecisionTime(at, wall)):
        get_run_logger().info("%s version %s: %s", entry.kind, entry.version, entry.reason)


@flow(name="rollback", flow_run_name="rollback {project}", timeout_seconds=10 * MINUTE)
def rollback(project: str, reason: str = "asked for") -> None:
    """Make the previous version of a project champion again.

    Args:
        project: name of the project.
        reason: is written to the audit.
    """
    go_back(Project.open(project), reason, datetime.now(UTC))
