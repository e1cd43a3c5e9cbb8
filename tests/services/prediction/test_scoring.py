"""A file scored in chunks says what the prediction service says."""

import pandas as pd
import pytest

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
