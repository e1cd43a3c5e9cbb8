"""Each file that is put into a folder is read once: in the window in which it was complete."""

import os
import random
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from fsspec.implementations.local import LocalFileSystem

from stack import sources
from stack.core.errors import StackError, UnavailableError
from stack.sources import AVAILABLE_AT, Query, folder
from tests.stack.sources.conftest import FIRST, LAST, declared
from tests.stacks import free_ports

SECTION = {"kind": "folder", "path": "drop", "pattern": "**/*.csv"}
COLUMNS = ["at", "value"]
START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def drop(tmp_path, monkeypatch):
    """Put a file into the folder at an instant; the file system's own note of the change is the same."""
    times = {}
    monkeypatch.setattr(folder, "_changed", lambda path, entry: times.get(path) or entry["mtime"])

    def put(name: str, at: datetime, *values: int, event: str = "2023-05-01") -> None:
        path = tmp_path / "drop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("at,value\n" + "".join(f"{event},{value}\n" for value in values))
        os.utime(path, (at.timestamp(), at.timestamp()))
        times[str(path)] = at.timestamp()

    (tmp_path / "drop").mkdir()
    return put


def windows(read, ends):
    """The values of each window between the ends."""
    return [
        list(read(SECTION, COLUMNS, "at", a, b)["value"]) for a, b in zip([FIRST, *ends], [*ends, LAST], strict=True)
    ]


def test_a_row_is_known_when_its_file_was_complete_whatever_its_own_time(read, drop):
    drop("a.csv", START, 1, 2)
    drop("sub/b.csv", START + 10 * MINUTE, 3, event="2020-01-01")
    rows = read(SECTION, COLUMNS, "at")
    assert list(rows) == [*COLUMNS, AVAILABLE_AT]
    settled = [START + timedelta(seconds=10), START + 10 * MINUTE + timedelta(seconds=10)]
    assert list(rows[AVAILABLE_AT]) == [pd.Timestamp(settled[0])] * 2 + [pd.Timestamp(settled[1])]
    assert windows(read, [START, START + MINUTE, START + 11 * MINUTE]) == [[], [1, 2], [3], []]


def test_files_that_were_there_before_hold_the_past(read, drop):
    drop("a.csv", START, 1)
    drop("b.csv", START + 20 * MINUTE, 2)
    past = SECTION | {"history": (START + 10 * MINUTE).isoformat()}
    rows = read(past, COLUMNS, "at", START - 100 * MINUTE, START)
    assert list(rows["value"]) == [1] and rows[AVAILABLE_AT].isna().all()
    assert list(read(past, COLUMNS, "at", START + 10 * MINUTE)["value"]) == [2]
    assert read(past, COLUMNS, "at")[AVAILABLE_AT].notna().sum() == 1


def test_random_windows_hold_each_row_once(read, drop):
    chance = random.Random(7)
    for number in range(40):
        drop(f"{number}.csv", START + timedelta(seconds=chance.random() * 3600), number)
    ends = sorted(START + timedelta(seconds=chance.randrange(4000)) for _ in range(60))
    assert sorted(sum(windows(read, ends), [])) == list(range(40))


def test_a_file_that_is_still_written_waits(read, drop):
    drop("a.csv", START, 1)
    assert windows(read, [START + timedelta(seconds=9)])[0] == []
    drop("a.csv", START + timedelta(seconds=5), 1, 2)
    assert windows(read, [START + timedelta(seconds=12), START + timedelta(seconds=15)]) == [[], [1, 2], []]


def test_a_copy_that_keeps_the_time_of_the_original_has_come_now(tmp_path, read):
    (tmp_path / "drop").mkdir()
    before = datetime.now(UTC) - timedelta(seconds=1)
    (tmp_path / "drop" / "old.csv").write_text("at,value\n2020-01-01,1\n")
    os.utime(tmp_path / "drop" / "old.csv", (0, 0))
    assert len(read(SECTION, COLUMNS, "at", before, LAST)) == 1


def test_files_of_other_names_and_unfinished_ones_are_left_alone(read, drop):
    for name in (".a.csv", "a.csv.part", "b.csv.tmp", "~$c.csv", ".git/d.csv", "readme.txt"):
        drop(name, START, 1)
    assert read(SECTION, COLUMNS, "at").empty and list(read(SECTION, COLUMNS, "at")) == [*COLUMNS, AVAILABLE_AT]


def test_without_time_all_rows_come_in_the_order_of_the_files(read, drop):
    drop("z.csv", START, 1)
    drop("a.csv", START + MINUTE, 2)
    assert list(read(SECTION, COLUMNS, None, START + 5 * MINUTE)["value"]) == [1, 2]


def test_each_file_is_a_batch(tmp_path, drop):
    for number in range(5):
        drop(f"{number}.csv", START + number * MINUTE, number)
    ends = sources.split(declared(SECTION), tmp_path, Query(COLUMNS, "at", START, START + timedelta(hours=1)))
    assert ends == [START + number * MINUTE + timedelta(seconds=10) for number in range(5)]
    for number in range(5, 300):
        drop(f"{number}.csv", START + number * MINUTE, number)
    ends = sources.split(declared(SECTION), tmp_path, Query(COLUMNS, "at", START, LAST))
    assert 40 <= len(ends) <= folder.BATCHES


def test_what_is_wrong_is_said(tmp_path, read, drop):
    with pytest.raises(StackError, match="no folder elsewhere"):
        read(SECTION | {"path": "elsewhere"}, COLUMNS, "at")
    drop("a.csv", START, 1)
    with pytest.raises(StackError, match=r"drop, file a.csv, column vlaue:\n.*did you mean 'value'"):
        read(SECTION, ["vlaue"], "at")
    with pytest.raises(StackError, match="a folder of this machine, or a prefix of s3://"):
        read(SECTION | {"path": "https://127.0.0.1:1/drop"}, COLUMNS, "at")


@pytest.mark.parametrize("part", ["drop", "drop/sub"])
def test_a_listing_that_breaks_off_is_no_empty_window(read, drop, monkeypatch, part):
    drop("a.csv", START, 1)
    drop("sub/b.csv", START, 2)
    listed = LocalFileSystem.ls

    def ls(self, path, **words):
        if path.endswith(part):
            raise OSError("it is away")
        return listed(self, path, **words)

    monkeypatch.setattr(LocalFileSystem, "ls", ls)
    with pytest.raises(UnavailableError, match="it is away"):
        read(SECTION, COLUMNS, "at")


def test_a_server_that_is_away_is_no_folder_that_is_missing(read, env):
    env(S3_KEY="key", S3_SECRET="secret")  # noqa: S106
    storage = {
        "endpoint": f"http://127.0.0.1:{free_ports(1)[0]}",
        "access_key": "${S3_KEY}",
        "secret_key": "${S3_SECRET}",
    }
    with pytest.raises(UnavailableError):
        read(SECTION | {"path": "s3://home/drop", "storage": storage}, COLUMNS, "at")
