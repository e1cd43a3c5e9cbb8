"""A file scored in chunks says what the prediction service says, and the same on a cluster."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from distributed import Client, LocalCluster

from stack.core.errors import StackError
from stack.core.workers import Workers
from stack.project import Project
from stack.serving import chunks, scoring
from stack.specification import example
from tests.services.conftest import NOW

pytestmark = pytest.mark.services


def test_a_file_is_scored_in_chunks_of_any_size(home, spec, version, tmp_path, monkeypatch):
    Project(home, spec).registry.set_champion(version)
    rows = [example.row(spec) | {"dest": dest, "note": note} for dest in ("ORD", "LAX", "ATL") for note in ("x", 1, 2)]
    source = tmp_path / "in.csv"
    pd.DataFrame(rows).to_csv(source, index=False)
    scored, lines = [], []
    for size, name in ((4, "out.parquet"), (1000, "out.csv")):
        monkeypatch.setattr(chunks, "ROWS", size)
        assert scoring.file(Project(home, spec), source, tmp_path / name, NOW, lines.append) == len(rows)
        target = tmp_path / name
        scored.append(pd.read_parquet(target) if target.suffix == ".parquet" else pd.read_csv(target))
    assert lines == ["4 rows scored, 100%", "8 rows scored, 100%", "9 rows scored, 100%"] + lines[3:]
    parquet, csv = scored
    assert parquet["dest"].tolist() == [row["dest"] for row in rows] and parquet["event_id"].tolist() == list(range(9))
    assert parquet["note"].tolist() == [str(row["note"]) for row in rows]
    assert parquet["probability"].nunique() == 3 and set(parquet["model_version"]) == {version}
    pd.testing.assert_series_equal(parquet["probability"], csv["probability"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[Client]:
    """Two processes of Dask."""
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running,
        Client(running) as client,
    ):
        yield client


@pytest.fixture
def folder(home, spec, version, tmp_path, monkeypatch) -> Path:
    """A folder of Parquet files, each of some parts, and in `here.parquet` their rows as this process scores them."""
    Project(home, spec).registry.set_champion(version)
    monkeypatch.setattr(chunks, "ROWS", 3)
    rows = [example.row(spec) | {"dest": dest, "nr": nr} for nr, dest in enumerate(("ORD", "LAX", "ATL") * 8)]
    frame = pd.DataFrame(rows).assign(asked_at=pd.date_range(end=NOW, periods=len(rows), freq="7h"))
    (tmp_path / "in").mkdir()
    for number, part in enumerate((frame[:10], frame[10:])):
        part.to_parquet(tmp_path / "in" / f"{number}.parquet", row_group_size=4)
    assert scoring.file(Project(home, spec), tmp_path / "in", tmp_path / "here.parquet", NOW, print) == len(rows)
    return tmp_path


def test_a_cluster_scores_the_same_and_goes_on_where_a_worker_is_killed(home, spec, folder, cluster):
    lines, workers = [], Workers(cluster.get_executor(), on_each=lambda call: list(cluster.run(call).values()))
    victim = min(cluster.run(os.getpid).values())

    def report(line: str) -> None:
        if not lines:
            os.kill(victim, signal.SIGKILL)
        lines.append(line)

    target = folder / "there.parquet"
    assert scoring.file(Project(home, spec), folder / "in", target, NOW, report, workers) == 24
    here = pd.read_parquet(folder / "here.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(target), here, check_exact=True)
    assert here["nr"].tolist() == here["event_id"].tolist() == list(range(24)) and here["probability"].nunique() > 3
    assert lines[0] == "3 rows scored, 12%" and lines[-1] == "24 rows scored, 100%"
    assert sorted(path.name for path in folder.iterdir()) == ["here.parquet", "in", "there.parquet"]


def test_what_is_wrong_in_a_part_is_said_as_here(home, spec, folder, cluster):
    last = folder / "in" / "1.parquet"
    frame = pd.read_parquet(last)
    frame.loc[frame.index[-1], "sched_dep"] = "2013-03-01T08:00:00"
    frame.to_parquet(last)
    workers = Workers(cluster.get_executor(), on_each=lambda call: list(cluster.run(call).values()))
    with pytest.raises(StackError, match="1 of 2 values without a zone") as raised:
        scoring.file(Project(home, spec), folder / "in", folder / "there.parquet", NOW, print, workers)
    assert raised.value.where.endswith("column sched_dep") and raised.value.todo == "add the zone"
    assert sorted(path.name for path in folder.iterdir()) == ["here.parquet", "in"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda seen: seen._replace(code="other"), "has other code in stack/"),
        (lambda seen: seen._replace(files=[None for _ in seen.files]), "does not see .*registry.db"),
    ],
)
def test_workers_that_would_score_otherwise_score_nothing(home, spec, folder, change, reason):
    lines = []
    workers = Workers(None, on_each=lambda call: [call(), change(call())])
    assert scoring.file(Project(home, spec), folder / "in", folder / "there.parquet", NOW, lines.append, workers) == 24
    assert pd.Series(lines[0]).str.contains(f"scored here: a worker of the cluster {reason}").all()
    assert (folder / "there.parquet").read_bytes() == (folder / "here.parquet").read_bytes()
