"""Where the folds of a search are fitted: on the cores of this machine, or on a Dask cluster where one is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from stack.core.settings import Settings

if TYPE_CHECKING:
    from stack.training.search import Workers

CONNECT_SECONDS = 20


@contextmanager
def fitters(settings: Settings) -> Iterator[Workers]:
    """Give the workers of the cluster that the settings name; the cores where they name none, or none answers.

    A search finds the same wherever its folds are fitted, so a cluster that is switched off is no reason to fail.
    """
    if not settings.dask_address:
        with _cores() as workers:
            yield workers
        return
    from prefect_dask.task_runners import DaskTaskRunner

    from stack.training.search import Workers

    with DaskTaskRunner(address=settings.dask_address, client_kwargs={"timeout": CONNECT_SECONDS}) as runner:
        client = _client(runner)
        if client is None:
            with _cores() as workers:
                yield workers
            return
        get_run_logger().info("folds are fitted on the cluster %s", settings.dask_address)
        yield Workers(client.get_executor(), lambda folds: list(client.scatter(folds, broadcast=True, hash=False)))


@contextmanager
def _cores() -> Iterator[Workers]:
    """A thread a core: scikit-learn's own code lets others run while it fits."""
    from stack.training.search import Workers

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield Workers(threads)


def _client(runner: Any) -> Any:
    """The client of a cluster with a worker at least, or None."""
    try:
        runner.client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except OSError as error:  # a timeout is one
        get_run_logger().warning("no worker of the cluster %s answers, fitting here: %s", runner.address, error)
        return None
    return runner.client
