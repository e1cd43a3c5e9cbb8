"""The lake: exactly once, whole after a kill, and readable at every revision."""

import os
import subprocess
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import contents, lake, repository
from stack.project import Project
from tests.stack.lake.lakes import DAYS, SPEC, append, commits, died, dvc, tables


def test_a_batch_comes_back_as_it_was_given(settings: Settings) -> None:
    append(settings, 0)
    content = Project(settings, SPEC).lake.read()
    assert content["trains"]["train"].tolist() == ["ICE 0", "ICE 1", "ICE 2"]
    assert content["trains"]["available_at"].dtype == "datetime64[us, UTC]"
    assert content["trains"]["available_at"].tolist() == tables(0)["trains"]["available_at"].tolist()
    assert content["weather"]["gust"].isna().all()


def test_the_same_batch_again_changes_nothing(settings: Settings) -> None:
    first = append(settings, 0)
    append(settings, 1)
    shuffled = {name: frame.iloc[::-1] for name, frame in tables(0).items()}
    assert Project(settings, SPEC).lake.append(shuffled, DAYS[0], DAYS[1]) == first
    assert commits(settings) == [
        "Append trains 20130102T000000Z_20130103T000000Z",
        "Append trains 20130101T000000Z_20130102T000000Z",
        "Prepare the data registry",
    ]


def test_a_removed_project_begins_anew_and_its_old_revisions_stay_readable(settings: Settings) -> None:
    ships = SPEC.model_copy(update={"name": "ships"})
    Project(settings, ships).lake.append(tables(0), DAYS[0], DAYS[1])
    old, trains = append(settings, 0), Project(settings, SPEC).lake
    assert lake.remove(settings, SPEC.name) == 1 and lake.remove(settings, SPEC.name) == 0
    assert trains.ingested_until() is None and len(trains.batches()) == 0
    assert len(Project(settings, ships).lake.batches()) == 1
    assert len(trains.read(revision=old)["trains"]) == 3
    assert dvc(settings, "status").strip() in ("", "Data and pipelines are up to date.")
    new = append(settings, 0)
    assert new != old and trains.batches()["revision"].tolist() == [new]


def test_the_revision_of_a_project_stays_while_others_append(settings: Settings) -> None:
    ships = SPEC.model_copy(update={"name": "ships"})
    prepared = lake.newest_revision(settings)
    assert Project(settings, SPEC).lake.revision() == prepared
    append(settings, 0)
    newest = append(settings, 1)
    other = Project(settings, ships).lake.append(tables(0), DAYS[0], DAYS[1])
    assert lake.newest_revision(settings) == Project(settings, ships).lake.revision() == other
    assert Project(settings, SPEC).lake.revision() == newest
    assert (
        Project(settings, SPEC)
        .lake.read(revision=newest)["trains"]
        .equals(Project(settings, SPEC).lake.read()["trains"])
    )
    assert append(settings, 2) == Project(settings, SPEC).lake.revision() == lake.newest_revision(settings)


def test_other_rows_for_a_known_window_are_refused(settings: Settings) -> None:
    before = append(settings, 0)
    with pytest.raises(StackError, match="other rows than the lake already has"):
        Project(settings, SPEC).lake.append(tables(0, trains=2), DAYS[0], DAYS[1])
    assert lake.newest_revision(settings) == before


@pytest.mark.parametrize("forget", [False, True])
def test_a_key_that_the_lake_has_is_refused(settings: Settings, forget: bool) -> None:
    append(settings, 0)
    before = append(settings, 1)
    if forget:
        (settings.lake / ".dvc/tmp/keys-trains.db").write_bytes(b"torn")
    again = tables(2) | {"trains": tables(2)["trains"].assign(day="0")}
    with pytest.raises(StackError, match=r"3 rows that the lake already has, one with day 0, train ICE 0"):
        Project(settings, SPEC).lake.append(again, DAYS[2], DAYS[3])
    assert lake.newest_revision(settings) == before
    assert dvc(settings, "data", "status") == "No changes.\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: pd.concat([frame, frame]), "a key twice: day 0, train ICE 0"),
        (lambda frame: frame.drop(columns="train"), "day, delay, available_at"),
        (lambda frame: frame.assign(available_at=DAYS[0]), "3 rows outside the window"),
        (lambda frame: frame.assign(available_at=pd.NaT), "3 rows outside the window"),
    ],
)
def test_a_malformed_table_is_refused(settings: Settings, change, message: str) -> None:
    content = tables(0) | {"trains": change(tables(0)["trains"])}
    with pytest.raises(StackError, match=message):
        Project(settings, SPEC).lake.append(content, DAYS[0], DAYS[1])


def test_an_old_revision_reads_as_it_was(settings: Settings) -> None:
    first = append(settings, 0)
    append(settings, 1)
    for path in settings.lake.glob("trains/*/*/*/*.parquet"):
        path.unlink()
    assert Project(settings, SPEC).lake.read(revision=first)["trains"]["day"].tolist() == ["0"] * 3
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 6


def test_a_window_is_open_at_its_start(settings: Settings) -> None:
    for day in range(3):
        append(settings, day)
    since = DAYS[1] + timedelta(hours=1)
    content = Project(settings, SPEC).lake.read(since=since, until=DAYS[2] + timedelta(hours=2))["trains"]
    assert content[["day", "train"]].to_numpy().tolist() == [
        ["1", "ICE 1"],
        ["1", "ICE 2"],
        ["2", "ICE 0"],
        ["2", "ICE 1"],
    ]


def test_an_empty_lake_reads_as_empty_tables(settings: Settings) -> None:
    content = Project(settings, SPEC).lake.read()
    assert [list(frame.columns) for frame in content.values()] == [
        ["day", "train", "available_at"],
        ["station", "hour", "available_at"],
    ]
    assert Project(settings, SPEC).lake.batches().empty


def test_batches_say_what_is_in_the_lake(settings: Settings) -> None:
    revisions = [append(settings, day) for day in (0, 1)]
    content = Project(settings, SPEC).lake.batches()
    assert content["revision"].tolist() == revisions
    assert content["until"].tolist() == DAYS[1:3]
    assert content[["trains", "weather"]].to_numpy().tolist() == [[3, 3], [3, 3]]


def test_an_unknown_revision_is_named(settings: Settings) -> None:
    append(settings, 0)
    with pytest.raises(StackError, match="no revision deadbeef"):
        Project(settings, SPEC).lake.read(revision="deadbeef")


def test_a_users_shell_sees_a_clean_repository(settings: Settings) -> None:
    append(settings, 0)
    append(settings, 1)
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    assert dvc(settings, "data", "status") == "No changes.\n"
    status = ["git", "-C", str(settings.lake), "status", "--porcelain"]
    assert subprocess.run(status, capture_output=True, check=True).stdout == b""


def test_a_lost_cache_comes_back_from_the_remote(settings: Settings, tmp_path: Path) -> None:
    remote = settings.model_copy(update={"lake_remote": str(tmp_path / "remote")})
    first = append(remote, 0)
    append(remote, 1)
    cached = [path for path in (settings.lake / ".dvc/cache").rglob("*") if path.is_file()]
    for path in cached:
        path.unlink()
    with pytest.raises(StackError, match="STACK_LAKE_REMOTE"):
        Project(settings, SPEC).lake.read()
    assert len(Project(remote, SPEC).lake.read(revision=first)["trains"]) == 3
    assert len(Project(remote, SPEC).lake.read()["trains"]) == 6


@pytest.mark.parametrize("first", [True, False])
def test_a_killed_append_is_retried_into_one_commit(settings: Settings, first: bool) -> None:
    lake.prepare(settings)
    day = 0
    if not first:
        append(settings, 0)
        day = 1
    before = Project(settings, SPEC).lake.read()["trains"]
    kills, event, step = 0, 3, int(os.environ.get("KILL_EVERY", "13"))
    while died(lambda: append(settings, day), event):
        kills, event = kills + 1, event + step
        if len(commits(settings)) == 1 + day:
            pd.testing.assert_frame_equal(Project(settings, SPEC).lake.read()["trains"], before)
    assert kills > 5
    append(settings, day)
    assert commits(settings)[0] == f"Append trains {lake.batch_id(DAYS[day], DAYS[day + 1])}"
    assert len(commits(settings)) == 2 + day
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 3 * (day + 1)
    assert dvc(settings, "data", "status") == "No changes.\n"
    assert not list(settings.lake.rglob("*.new"))


def test_the_repository_is_whole_or_absent_when_making_it_is_killed(settings: Settings) -> None:
    (settings.home / "lake.new/.git").mkdir(parents=True)
    lake.prepare(settings)
    assert commits(settings) == ["Prepare the data registry"]
    with repository.opened(settings) as repo:
        assert repo.config["core"]["analytics"] is False


def test_the_data_lies_on_disk_once(settings: Settings) -> None:
    append(settings, 0)
    append(settings, 1)
    files = list(settings.lake.glob("trains/*/*/*/*.parquet"))
    assert len(files) == 4
    assert all(path.stat().st_nlink > 1 and not path.stat().st_mode & 0o222 for path in files)


@pytest.fixture
def long(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> lake.Lake:
    """A lake of one table, a hundred hours in a batch, ten in a row group."""
    monkeypatch.setattr(lake, "GROUP", 10)
    spec = SPEC.model_copy(update={"tables": {"trains": SPEC.tables["trains"]}})
    made = Project(settings, spec).lake
    made.append({"trains": tables(0, trains=100)["trains"]}, DAYS[0], DAYS[5])
    return made


def test_a_window_of_a_long_batch_is_read_without_the_rest(long: lake.Lake) -> None:
    since, until = DAYS[1], DAYS[1] + timedelta(hours=15)
    rows = long.read(since=since, until=until)["trains"]
    whole = long.read()["trains"]
    inside = (whole["available_at"] > since) & (whole["available_at"] <= until)
    pd.testing.assert_frame_equal(rows, whole[inside].reset_index(drop=True))
    assert len(rows) == 15


def test_blocks_are_the_rows_one_after_the_other(long: lake.Lake) -> None:
    blocks = [block["trains"] for block in long.blocks(DAYS[3], rows=30)]
    assert [len(block) for block in blocks] == [30, 30, 12]
    pd.testing.assert_frame_equal(pd.concat(blocks, ignore_index=True), long.read(until=DAYS[3])["trains"])


def test_a_long_window_is_split_and_a_short_one_is_not(long: lake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(long.spans(DAYS[0], DAYS[3], timedelta(0))) == [(DAYS[0], DAYS[3])]
    monkeypatch.setattr(lake, "SPAN", 30)
    ends = [end for _, end in long.spans(DAYS[1], DAYS[4], timedelta(days=1))]
    assert ends == [*(DAYS[0] + timedelta(hours=hours) for hours in (30, 60, 90)), DAYS[4]]


def test_tables_that_belong_together_are_one_block(settings: Settings) -> None:
    append(settings, 0)
    append(settings, 1)
    (block,) = Project(settings, SPEC).lake.blocks(DAYS[2], rows=1)
    assert {name: len(rows) for name, rows in block.items()} == {"trains": 6, "weather": 6}


def test_a_batch_in_the_order_of_earlier_releases_is_the_same_batch(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(contents, "_ordered", lambda frame, columns: frame.sort_values(columns[1:]))
        first = append(settings, 0)
    assert append(settings, 0) == first


def test_the_end_of_the_last_batch_is_known(settings: Settings) -> None:
    assert Project(settings, SPEC).lake.ingested_until() is None
    append(settings, 1)
    append(settings, 0)
    assert Project(settings, SPEC).lake.ingested_until() == DAYS[2]
