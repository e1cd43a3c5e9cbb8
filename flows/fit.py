"""The part of a training that another machine can do: search, evaluate, refit and register, on rows sent to it.

Joining features and judging the challenger stay where the lake and the prediction service are.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from prefect import flow, get_run_logger

from flows.cluster import fitters
from flows.common import MINUTE
from stack.core import code
from stack.core.errors import StackError
from stack.ops.runs import Runs
from stack.project import Project

if TYPE_CHECKING:
    from pandas import DataFrame

POOL = "training"
"""The work pool of machines that have joined."""
START_SECONDS = 60.0
"""A worker asks for work every few seconds; one that is switched off counts as online for half a minute."""


@flow(name="fit", flow_run_name="fit {project}", timeout_seconds=120 * MINUTE)
def fit(project: str, cutoff: datetime, rows: str, data_revision: str, code_version: str, digest: str) -> str:
    """Train a project on rows that its own machine has sent; return the registered version.

    Args:
        project: name of the project.
        cutoff: no label of the rows became known after it.
        rows: their name in :func:`stack.training.tracking.upload_rows`.
        data_revision: of the lake that they come from.
        code_version: of the machine that sent them.
        digest: of the files there that decide what a training gives.
    """
    from stack.promotion import challengers
    from stack.training import tracking

    opened = Project.open(project)
    if code.digest(project) != digest:
        raise StackError(
            "checkout of the training machine",
            found=f"code {code.version()}, which differs in stack/, projects/{project}/ or feature_repo/",
            expected=f"code {code_version}, as on the machine that it has joined",
            todo=f"git checkout {code_version.removesuffix('-dirty')} there, and in STACK_WORKSPACE, if any, the same "
            "commit; then `make join` again",
        )
    # This machine may come back after the other one has given it up and trained for itself.
    if version := opened.registry.tagged(challengers.identity(opened.spec, cutoff, data_revision)):
        get_run_logger().info("version %s has the same data, cut-off and code: nothing to train", version.version)
        return version.version
    return train_here(opened, tracking.download_rows(opened.settings, rows), cutoff, data_revision, code_version)


def train_here(project: Project, frame: DataFrame, cutoff: datetime, data_revision: str, code_version: str) -> str:
    """Search, evaluate on the holdout, refit and register the challenger; return its version."""
    from stack.promotion import apart, challengers
    from stack.training import packages
    from stack.training.training import TrainingSet

    data, log = TrainingSet(frame, cutoff, data_revision, code_version), get_run_logger()
    if own := packages.installed(project.settings, project.spec.folder, log.info):
        return str(apart.run("train", project, data, own, log.info)["version"])
    with fitters(project.settings) as workers:
        return challengers.train(project, data, log.info, workers).version


def train_remotely(project: Project, frame: DataFrame, cutoff: datetime) -> str | None:
    """Let a machine that has joined train on labelled rows.

    Returns:
        The registered version; None where no machine is there, or where it has registered none: then train here.
    """
    from stack.promotion import challengers

    runs = Runs(project.settings, patience=60)
    if not runs.online(POOL):
        return None
    revision = project.lake.revision()
    send(project, frame, cutoff, revision, runs)
    version = challengers.find_existing(project, challengers.identity(project.spec, cutoff, revision))
    if version is None:
        get_run_logger().warning("nothing was registered there; training here")
    return version.version if version else None


def send(project: Project, frame: DataFrame, cutoff: datetime, revision: str, runs: Runs) -> None:
    """Upload the rows, start the run that trains on them, and follow it to its end."""
    from stack.training import tracking

    log, name = get_run_logger(), f"{project.name}-{cutoff:%Y%m%dT%H%M%SZ}"
    parameters = {"cutoff": cutoff.isoformat(), "rows": name, "data_revision": revision}
    parameters |= {"code_version": code.version(), "digest": code.digest(project.name)}
    with tracking.upload_rows(project.settings, name, frame):
        run = runs.start("fit", project.name, parameters)
        log.info("%s rows sent to a machine of the pool %s: %s", f"{len(frame):,}", POOL, runs.url(run))
        if not runs.begins(run, START_SECONDS):
            runs.cancel(run)
            log.warning("no machine of the pool has begun within %s s", START_SECONDS)
        elif not (outcome := runs.follow(run, log.info)).good:
            log.warning("the training there is %s, %s", outcome.state.lower(), outcome.message)
