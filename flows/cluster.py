"""Where the folds of a search are fitted: on the cores of this machine, or on a Dask cluster where one is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
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
    from stack.training.search import Workers

    with ExitStack() as resources:
        client = _client(settings.dask_address, resources) if settings.dask_address else None
        if client is None:
            # A thread a core: scikit-learn's own code lets others run while it fits.
            yield Workers(resources.enter_context(ThreadPoolExecutor(os.cpu_count())))
        else:
            yield Workers(client.get_executor(), lambda folds: list(client.scatter(folds, broadcast=True, hash=False)))


def _client(address: str, resources: ExitStack) -> Any:
    """Return the client of a cluster with a worker at least, or None."""
    from prefect_dask.task_runners import DaskTaskRunner

    log, options = get_run_logger(), {"timeout": CONNECT_SECONDS}
    client = resources.enter_context(DaskTaskRunner(address=address, client_kwargs=options)).client
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except OSError as error:  # a timeout is one
        log.warning("no worker of the cluster %s answers, fitting here: %s", address, error)
        return None
    log.info("folds are fitted on the cluster %s", address)
    return client
