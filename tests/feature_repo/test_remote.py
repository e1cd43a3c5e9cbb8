"""What a cluster joins and computes is what this process does, to the last cell."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client, LocalCluster

from stack.core.settings import Settings
from stack.core.workers import Workers
from stack.features import datasets, features, remote
from stack.lake import lake
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec
from tests.feature_repo.conftest import SINCE, UNTIL


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Two processes of Dask."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield Workers(client.get_executor(), on_each=lambda call: list(client.run(call).values()), slots=2)


BLIND = Workers(None, on_each=lambda call: [call(), call()._replace(code="other")])  # type: ignore[arg-type]


def test_a_training_set_is_joined_by_a_cluster(
    three_days: Settings, flights: ProjectSpec, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SHARED_BLOCK", 400)
    project, lines = Project(three_days, flights), list[str]()
    events = datasets.events(project, UNTIL).sample(frac=1, random_state=2)
    expected = features.training_set(project, events)
    assert len(expected) > 1000
    pd.testing.assert_frame_equal(remote.training_set(project, events, workers, lines.append), expected)
    assert lines == []
    pd.testing.assert_frame_equal(remote.training_set(project, events, BLIND, lines.append), expected)
    assert "has other code" in lines[0]
    assert not [*three_days.feature_tables.rglob("*.partial")]


def test_feature_tables_are_computed_by_a_cluster(
    three_days: Settings, flights: ProjectSpec, workers: Workers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake, "GROUP", 300)
    monkeypatch.setattr(lake, "SPAN", 900)
    project, lines = Project(Settings(home=tmp_path), flights), list[str]()
    project.lake.append(contract.source(flights.name).fetch(SINCE, UNTIL), SINCE, UNTIL)
    assert features.is_long(project, SINCE, UNTIL)
    counts = remote.update(project, SINCE, UNTIL, workers, lines.append)
    assert lines == []
    expected = {path.relative_to(three_days.home): path for path in three_days.feature_tables.rglob("*.parquet")}
    found = {path.relative_to(tmp_path): path for path in project.settings.feature_tables.rglob("*.parquet")}
    assert set(found) == set(expected) and len(found) >= 4
    for name, path in found.items():
        pd.testing.assert_frame_equal(pd.read_parquet(path), pd.read_parquet(expected[name]), check_exact=True)
    assert remote.update(project, SINCE, UNTIL, BLIND, lines.append) == counts and "has other code" in lines[0]
