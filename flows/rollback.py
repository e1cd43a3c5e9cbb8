"""Back to the previous version in one step; ``make rollback`` does the same without Prefect."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task

from flows.common import MINUTE, MOMENTARY, context


@task(timeout_seconds=5 * MINUTE)
def go_back(project: str, reason: str, wall: datetime) -> None:
    """Make the previous version champion; not retried, as a second rollback is another decision."""
    from stack.promotion import rollback
    from stack.promotion.decisions import DecisionTime

    opened, at = context(project)
    rollback.run(opened, DecisionTime(at, wall), reason, get_run_logger().info)


@task(timeout_seconds=10 * MINUTE, **MOMENTARY)
def look_again(project: str, at: datetime, wall: datetime) -> None:
    """End a canary whose time is over, and go back from a new champion that does worse than the one before."""
    from stack.promotion import rollout
    from stack.promotion.decisions import DecisionTime

    opened, at = context(project, at)
    if entry := rollout.review(opened, DecisionTime(at, wall)):
        get_run_logger().info("%s version %s: %s", entry.kind, entry.version, entry.reason)


@flow(name="rollback", flow_run_name="rollback {project}", timeout_seconds=10 * MINUTE)
def rollback(project: str, reason: str = "asked for") -> None:
    """Make the previous version of a project champion again.

    Args:
        project: name of the project.
        reason: why; it stands in the audit.
    """
    go_back(project, reason, datetime.now(UTC))
