"""The first pipeline of a project: from an empty lake to a champion and a drift report."""

from prefect import flow, get_run_logger

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
    if version := undecided(opened):
        get_run_logger().warning("version %s is awaiting approval: nothing is live to be monitored", version.version)
    else:
        monitor(project, at=now)
