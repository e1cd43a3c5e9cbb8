"""CSV that is read in parts is the table that pandas reads in one go, whatever a later part holds."""

import gzip
from io import BytesIO

import pandas as pd
import pytest

from stack.sources import tables

COLUMNS = {
    "number": ["1", "2", "3", "4"],
    "later decimal": ["1", "2", "3", "4.5"],
    "later missing": ["1", "2", "3", ""],
    "first missing": ["", "", "3", "x"],
    "later text": ["1", "2", "3", "x"],
    "text": ["a", "b", "a", "b"],
    "later number": ["a", "b", "3", "4"],
    "yes or no": ["True", "False", "True", ""],
    "later yes": ["a", "b", "True", "False"],
    "no values": ["", "", "", ""],
    "large": ["1", "2", "3", str(2**63)],
    "larger": ["1", "2", "3", str(2**70)],
    "instant": ["2024-01-01", "2024-01-02", "2024-01-03", ""],
}


@pytest.mark.parametrize("rows", [1, 2, 3, 4])
@pytest.mark.parametrize("names", [[name] for name in COLUMNS] + [["number", "later decimal", "text", "yes or no"]])
def test_parts_are_the_whole(tmp_path, monkeypatch, rows, names):
    monkeypatch.setattr(tables, "PART", rows)
    text = pd.DataFrame(COLUMNS)[["number", *dict.fromkeys(names)]].T.drop_duplicates().T.to_csv(index=False).encode()
    (tmp_path / "rows.csv").write_bytes(text)
    (tmp_path / "rows.csv.gz").write_bytes(gzip.compress(text))
    expected = pd.read_csv(BytesIO(text), low_memory=False)
    with gzip.open(tmp_path / "rows.csv.gz") as packed:
        for file in (tmp_path / "rows.csv", tmp_path / "rows.csv.gz", BytesIO(text), packed):
            pd.testing.assert_frame_equal(tables.read_csv(file, {}), expected)


def test_options_hold_for_each_part(monkeypatch):
    monkeypatch.setattr(tables, "PART", 1)
    rows = tables.read_csv(
        BytesIO(b"a;b\n1,5;01\n-;2\n"), {"sep": ";", "decimal": ",", "na_values": ["-"], "dtype": {"b": "str"}}
    )
    assert rows["b"].tolist() == ["01", "2"] and rows["a"].fillna(0).tolist() == [1.5, 0]


def test_a_table_without_rows_has_its_columns(monkeypatch):
    assert list(tables.read_csv(BytesIO(b"a,b\n"), {})) == ["a", "b"]
