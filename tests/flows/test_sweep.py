"""The flow brings a sweep to the workers that there are: this machine's cores, or a cluster's."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from distributed import LocalCluster
from prefect import task
from prefect.cache_policies import NO_CACHE

import flows.sweep
import stack.project.project
from stack.core.settings import Settings
from stack.core.workers import Workers
from stack.lake import lake
from stack.specification import specs
from tests.stack.conftest import DAYS, START, toy, toy_rows  # noqa: F401  # fixtures

CUTOFF = (START + timedelta(days=DAYS, hours=6)).to_pydatetime()


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """A real scheduler with a worker, in this process."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as running:
        yield running


@pytest.mark.parametrize("place", ["cores", "cluster"])
def test_a_sweep_runs_where_the_workers_are(place, prefect, cluster, toy, toy_rows, tracked, tmp_path, monkeypatch):  # noqa: F811
    address = cluster.scheduler_address if place == "cluster" else ""
    settings = Settings(home=tmp_path, mlflow_port=tracked.mlflow_port, dask_address=address)
    spec, rows, seen = toy.model_copy(update={"name": place}), toy_rows(600), []

    def swept(*given, workers: Workers, **named):
        seen.append(type(workers.executor).__name__)
        return sweep(*given, workers=workers, **named)

    from stack.training.sweep import sweep

    monkeypatch.setattr("stack.training.sweep.sweep", swept)
    monkeypatch.setattr(stack.project.project, "settings", lambda: settings)
    monkeypatch.setattr(specs, "load", lambda name: spec)
    monkeypatch.setattr(lake.Lake, "revision", lambda self: "3f2a")
    monkeypatch.setattr(flows.sweep, "training_set", task(lambda _, cutoff: rows, cache_policy=NO_CACHE))
    page = flows.sweep.sweep(place, trials=4, cutoff=CUTOFF)
    assert (tmp_path / "pages" / place / page).is_file()
    assert seen == [{"cores": "ThreadPoolExecutor", "cluster": "ClientExecutor"}[place]]
