"""Compare models, feature sets and hyper-parameters: on the cores, or on a Dask cluster when one is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger

from flows.common import MINUTE, context
from flows.train import training_set

if TYPE_CHECKING:
    from stack.training.sweep import Workers


@flow(name="sweep", flow_run_name="sweep {project}", timeout_seconds=720 * MINUTE)
def sweep(project: str, trials: int = 50, cutoff: datetime | None = None) -> str:
    """Compare models, feature sets and hyper-parameters of a project; nothing is registered.

    Args:
        project: name of the project.
        trials: until so many are done; those of an earlier sweep of the same data count.
        cutoff: labels known later are not used; the project's "now" when omitted.

    Returns:
        Name of the page that compares the trials.
    """
    settings, _, cutoff = context(project, cutoff)
    if not settings.dask_address:
        return compare(project, trials, cutoff)
    from prefect_dask.task_runners import DaskTaskRunner

    cluster: Any = DaskTaskRunner(address=settings.dask_address)
    return compare.with_options(task_runner=cluster)(project, trials, cutoff)


@flow(name="compare", flow_run_name="compare {project}", timeout_seconds=720 * MINUTE)
def compare(project: str, trials: int, cutoff: datetime) -> str:
    """Run the trials where the flow's task runner has its workers."""
    from stack import code
    from stack.data import lake
    from stack.training.sweep import sweep as swept

    settings, spec, cutoff = context(project, cutoff)
    log = get_run_logger()
    frame = training_set(project, cutoff)
    with workers(settings.dask_address) as found:
        done = swept(
            settings,
            spec,
            frame,
            trials=trials,
            cutoff=cutoff,
            data_revision=lake.revision(settings),
            code_version=code.version(),
            workers=found,
            report=log.info,
        )
    log.info("best: %s", done.best)
    log.info("page: %s/reports/%s/%s", settings.link("portal"), project, done.page.name)
    return done.page.name


@contextmanager
def workers(dask: str) -> Iterator[Workers]:
    """Give the cores of this machine, or the cluster of the running flow's task runner."""
    from stack.training.sweep import Workers

    if not dask:
        with ThreadPoolExecutor(os.cpu_count()) as executor:
            yield Workers(executor)
        return
    from prefect.context import FlowRunContext

    running: Any = FlowRunContext.get()
    client = running.task_runner.client
    yield Workers(client.get_executor(), lambda folds: list(client.scatter(folds, broadcast=True, hash=False)))
