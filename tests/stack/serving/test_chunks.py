import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.serving import chunks


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 3)


def tables(path):
    if path.suffix == ".csv":
        return [table for table, _ in chunks.csv(path, {"number": "float64"})]
    return [chunks.load(part) for part in chunks.parts(path)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_in_chunks_is_read_in_chunks(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    frame = pd.DataFrame({"number": [0.1 * row for row in range(8)], "code": [f"00{row}" for row in range(8)]})
    with chunks.writing(path) as writer:
        for first in (0, 3, 6):
            writer.write(frame[first : first + 3])
        assert not path.exists()
    read = [table.to_pandas() for table in tables(path)]
    assert [len(part) for part in read] == [3, 3, 2]
    pd.testing.assert_frame_equal(pd.concat(read, ignore_index=True), frame)


def test_the_share_of_a_file_that_has_been_read_grows_to_all(tmp_path):
    path = tmp_path / "rows.csv"
    pd.DataFrame({"number": range(8)}).to_csv(path, index=False)
    shares = [share for _, share in chunks.csv(path, {"number": "int64"})]
    assert shares == sorted(shares) and shares[-1] == 1


def test_parts_of_a_folder_are_read_alone_whatever_the_row_groups_are(tmp_path):
    frame = pd.DataFrame({"number": range(20), "code": [f"00{row % 4}" for row in range(20)]})
    frame["code"] = frame["code"].astype("category")
    for name, rows in {"a": frame[:11], "b": frame[11:11], "c": frame[11:]}.items():
        rows.to_parquet(tmp_path / f"{name}.parquet", row_group_size=2)
    (tmp_path / ".a.parquet.partial").write_text("unfinished")
    parts = chunks.parts(tmp_path)
    assert [(part.path.stem, part.first, part.rows, part.before) for part in parts][3:5] == [
        ("a", 9, 2, 9),
        ("c", 0, 3, 11),
    ]
    read = {part: chunks.load(part) for part in reversed(parts)}
    together = pd.concat([read[part].to_pandas() for part in parts], ignore_index=True)
    assert together["number"].tolist() == frame["number"].tolist()
    assert together["code"].astype(str).tolist() == frame["code"].tolist()


def test_a_folder_without_parquet_or_with_other_columns_is_refused(tmp_path):
    with pytest.raises(StackError, match="no Parquet file in it"):
        chunks.parts(tmp_path)
    pd.DataFrame({"number": [1]}).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame({"size": [1]}).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(StackError, match="b.parquet"):
        chunks.parts(tmp_path)


def test_an_index_that_pandas_has_written_is_no_column(tmp_path):
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"number": [1, 2]}, index=["x", "y"]).to_parquet(path)
    assert chunks.load(*chunks.parts(path)).column_names == ["number"]


def test_a_column_that_is_empty_at_first_may_hold_text_later(tmp_path):
    path = tmp_path / "rows.parquet"
    with chunks.writing(path) as writer:
        writer.write(pd.DataFrame({"code": [None, None]}, dtype=object))
        writer.write(pd.DataFrame({"code": ["a"]}))
    assert pd.read_parquet(path)["code"].tolist() == [None, None, "a"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_without_rows_is_read_and_written(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    with chunks.writing(path) as writer:
        writer.write(pd.DataFrame({"code": pd.Series([], dtype=str)}))
    (rows,) = tables(path)
    assert rows.column_names == ["code"] and not len(rows)


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.touch()
    with pytest.raises(StackError, match="rows.csv"):
        next(chunks.csv(path, {}))


def test_what_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), chunks.writing(path) as writer:
        writer.write(pd.DataFrame({"code": [1 / 0]}))
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"] and path.read_text() == "old"
