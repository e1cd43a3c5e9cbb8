"""The first pipeline of a project: from an empty lake to a champion and a drift report."""

from __future__ import annotations

from prefect import flow

from flows.common import MINUTE, context
from flows.ingest import ingest
from flows.monitor import monitor
from flows.train import train


@flow(name="pipeline", flow_run_name="pipeline {project}", timeout_seconds=240 * MINUTE)
def pipeline(project: str) -> None:
    """Ingest all there is, train, pass the gate, monitor; the clock of a replay then stands at `first_now`."""
    opened, now = context(project)
    if opened.spec.clock.first_now and now < opened.spec.clock.first_now:
        now = opened.spec.clock.first_now
    ingest(project, until=now)
    if opened.spec.clock.kind == "replay":
        opened.clock.advance(now)
    train(project, cutoff=now, reason="first pipeline")
    monitor(project, at=now)
