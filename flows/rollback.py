"""Back to the previous version in one step; ``make rollback`` does the same without Prefect."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow, get_run_logger, task

from flows.common import MINUTE, context


@task(timeout_seconds=5 * MINUTE)
def go_back(project: str, reason: str, wall: datetime) -> None:
    """Make the previous version champion; not retried, as a second rollback is another decision."""
    from stack import rollback
    from stack.audit import Instant

    settings, spec, at = context(project)
    rollback.run(settings, spec, Instant(at, wall), reason, get_run_logger().info)


@flow(name="rollback", flow_run_name="rollback {project}", timeout_seconds=10 * MINUTE)
def rollback(project: str, reason: str = "asked for") -> None:
    """Make the previous version of a project champion again.

    Args:
        project: name of the project.
        reason: why; it stands in the audit.
    """
    go_back(project, reason, datetime.now(UTC))
