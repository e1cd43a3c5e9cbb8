import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.serving import chunks


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(chunks, "ROWS", 3)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_is_written_in_chunks_is_read_in_chunks(tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    frame = pd.DataFrame({"number": [0.1 * row for row in range(8)], "code": [f"00{row}" for row in range(8)]})
    with chunks.writing(path) as writer:
        for first in (0, 3, 6):
            writer.write(frame[first : first + 3])
        assert not path.exists()
    parts, shares = zip(*chunks.read(path, {"number": "float64"}), strict=True)
    assert [len(part) for part in parts] == [3, 3, 2]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), frame)
    assert list(shares) == sorted(shares) and shares[-1] == 1


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
    ((rows, share),) = chunks.read(path, {})
    assert list(rows) == ["code"] and rows.empty and share == 1


def test_an_empty_file_is_named(tmp_path):
    path = tmp_path / "rows.csv"
    path.touch()
    with pytest.raises(StackError, match="rows.csv"):
        next(chunks.read(path, {}))


def test_what_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), chunks.writing(path) as writer:
        writer.write(pd.DataFrame({"code": [1 / 0]}))
    assert [file.name for file in tmp_path.iterdir()] == ["rows.csv"] and path.read_text() == "old"
