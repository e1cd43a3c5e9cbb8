"""Make a point-in-time training set, search the candidates, register the best as challenger, and run the gate."""

from datetime import datetime
from functools import partial

from pandas import DataFrame
from prefect import flow, get_run_logger, task

from flows.cluster import cluster
from flows.common import MINUTE, RETRIES, instant
from flows.fit import train_here, train_remotely
from flows.promote import run_gate
from stack.core import code, profile
from stack.core.profile import step
from stack.project import Project


@task(timeout_seconds=MINUTE, **RETRIES)
def existing_version(project: Project, cutoff: datetime) -> str | None:
    """Find the version that was trained on the same data, cut-off and code; complete the training of a killed run."""
    from stack.promotion import challengers

    version = challengers.find_existing(project, challengers.identity(project.spec, cutoff, project.lake.revision()))
    return version.version if version else None


@task(timeout_seconds=30 * MINUTE, **RETRIES)
def training_set(project: Project, cutoff: datetime) -> DataFrame:
    """Join every labelled event with the features that were known at its instant: many of them on a cluster."""
    from stack.features import datasets, remote

    with cluster(project.settings) as workers:
        if workers is None:
            return datasets.labelled(project, cutoff)
        by_workers = partial(remote.training_set, workers=workers, report=get_run_logger().info)
        return datasets.labelled(project, cutoff, by_workers)


@task(timeout_seconds=120 * MINUTE, **RETRIES)
def search(project: Project, frame: DataFrame, cutoff: datetime) -> str:
    """Train on this machine; return the registered version."""
    return train_here(project, frame, cutoff, project.lake.revision(), code.version())


@flow(name="train", flow_run_name="train {project}", timeout_seconds=180 * MINUTE)
def train(project: str, cutoff: datetime | None = None, reason: str = "asked for") -> str:
    """Train a project on what was known at the cut-off; the gate then decides whether it goes live.

    Args:
        project: name of the project.
        cutoff: labels known later are not used; the project's "now" when omitted.
        reason: why this run was started; it is logged.
    """
    opened = Project.open(project)
    cutoff = instant(opened, cutoff)
    get_run_logger().info("training %s on labels known at %s; reason: %s", project, cutoff, reason)
    with profile.recording(opened.settings, project, cutoff, "training"):
        version = train_at(opened, cutoff)
        with step("gate and promotion"):
            run_gate(opened)
    return version


def train_at(project: Project, cutoff: datetime) -> str:
    """Return the version that is trained on what was known at the cut-off, by an earlier run or now."""
    version = existing_version(project, cutoff)
    if version:
        get_run_logger().info("version %s has the same data, cut-off and code: nothing to train", version)
        return version
    with step("join the training set"):
        frame = training_set(project, cutoff)
    return train_remotely(project, frame, cutoff) or search(project, frame, cutoff)
