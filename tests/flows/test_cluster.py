"""Work goes to a cluster that answers, and stays here where none does."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from distributed import LocalCluster
from prefect import flow

from flows import cluster
from stack.core.settings import Settings
from stack.core.workers import Workers
from tests.stacks import free_ports


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A real scheduler with a worker of two threads, in this process."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as running:
        yield running.scheduler_address


def inside(address: str, use: Callable[[Workers | None], Any]) -> Any:
    """Use the workers of an address in a flow."""

    @flow
    def work() -> Any:
        with cluster.cluster(Settings(dask_address=address)) as workers:
            return use(workers)

    return work()


def test_a_cluster_works_through_items_in_order(prefect, address):
    def use(workers: Workers) -> tuple[list[int], list[int], int]:
        return [*workers.in_order(abs, range(-9, 0))], workers.on_each(os.getpid), workers.slots

    assert inside(address, use) == ([9, 8, 7, 6, 5, 4, 3, 2, 1], [os.getpid()], 2)


def test_a_cluster_that_does_not_answer_is_done_without(prefect, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.3)
    assert inside(f"tcp://127.0.0.1:{free_ports(1)[0]}", lambda workers: workers) is None


def test_without_an_address_there_is_no_cluster(prefect):
    assert inside("", lambda workers: workers) is None
