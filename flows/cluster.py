"""Where work is shared out: on the cores of this machine, or on a Dask cluster where one is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

from prefect import get_run_logger

from stack.core.settings import Settings
from stack.core.workers import Workers

CONNECT_SECONDS = 20


@contextmanager
def fitters(settings: Settings) -> Iterator[Workers]:
    """Give the workers of the cluster that the settings name; the cores where they name none, or none answers.

    A search finds the same wherever its folds are fitted, so a cluster that is switched off is no reason to fail.
    """
    with cluster(settings) as workers, ThreadPoolExecutor(os.cpu_count()) as threads:
        # A thread a core: scikit-learn's own code lets others run while it fits.
        yield workers or Workers(threads)


@contextmanager
def cluster(settings: Settings) -> Iterator[Workers | None]:
    """Give the workers of the cluster that the settings name; None where they name none, or none answers."""
    with ExitStack() as resources:
        client = _client(settings.dask_address, resources) if settings.dask_address else None
        yield client and Workers(
            client.get_executor(),
            place=lambda objects: list(client.scatter(objects, broadcast=True, hash=False)),
            on_each=lambda function: list(client.run(function).values()),
            slots=sum(client.nthreads().values()),
        )


def _client(address: str, resources: ExitStack) -> Any:
    """Return the client of a cluster with a worker at least, or None."""
    from prefect_dask.task_runners import DaskTaskRunner

    log, options = get_run_logger(), {"timeout": CONNECT_SECONDS}
    try:
        client = resources.enter_context(DaskTaskRunner(address=address, client_kwargs=options)).client
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except OSError as error:  # a timeout is one
        log.warning("no worker of the cluster %s answers, going on here: %s", address, error)
        return None
    log.info("the cluster %s does the work", address)
    return client
