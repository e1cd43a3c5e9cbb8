"""The first pipeline of a project: from an empty lake to a champion and a drift report."""

from datetime import datetime

from prefect import flow, get_run_logger
from prefect.deployments import run_deployment

from flows.common import MINUTE, instant
from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train
from stack.project import Project
from stack.promotion.challengers import undecided


@flow(name="pipeline", flow_run_name="pipeline {project}", timeout_seconds=240 * MINUTE)
def pipeline(project: str) -> None:
    """Ingest all rows, train, pass the gate, monitor; the clock of a replay then stands at `first_now`."""
    opened = Project.open(project)
    clock = opened.spec.clock
    now = max(instant(opened), clock.first_now) if clock.first_now else instant(opened)
    ingest(project, until=now)
    if clock.kind == "replay":
        opened.clock.advance(now)
    train(project, cutoff=now, reason="first pipeline")
    repeat_with_past(opened, now)
    if version := undecided(opened):
        get_run_logger().warning("version %s is awaiting approval: nothing is live to be monitored", version.version)
    else:
        monitor(project, at=now)


def repeat_with_past(project: Project, now: datetime) -> None:
    """Schedule the pipeline of a project that is too young for the past of its keys; its model knows none."""
    from stack.features import features

    at = features.awaited_past(project, now) if project.spec.clock.kind == "wall" else None
    if at is None:
        return
    get_run_logger().warning(
        "trained without the past of %s: it is computed once an hour or a day, of the rows that came before. "
        "The pipeline runs again by itself at %s, when rows with a past have come",
        ", ".join(project.spec.features.entities),
        f"{at:%Y-%m-%d %H:%M} UTC",
    )
    key = f"{project.name} {at.isoformat()}"
    run_deployment(f"pipeline/{project.name}", scheduled_time=at, timeout=0, as_subflow=False, idempotency_key=key)
