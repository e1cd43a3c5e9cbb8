"""Backups by themselves: what is due when, what is kept, what is recorded, and an archive that is tried out."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from stack.core import disk
from stack.core.settings import Settings
from stack.ops import archive, backups, scheduled
from stack.ops.scheduled import Record
from tests.stack.ops.local.test_backup import fill

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, toy) -> Path:
    return fill(tmp_path_factory.mktemp("filled") / "home", toy).home


@pytest.fixture
def stack(home: Path, tmp_path: Path) -> Settings:
    shutil.copytree(home, tmp_path / "home")
    return Settings(home=tmp_path / "home", backup_folder=tmp_path / "backups")


def run(stack: Settings, now: datetime) -> Record:
    """Look at an instant; give the record, as other processes read it."""
    scheduled.run(stack, now, print)
    record = scheduled.read(stack)
    assert record is not None
    return record


def begun(stack: Settings) -> Record:
    """Let the first quarter of an hour pass, and the first backup be made."""
    assert run(stack, NOW).at is None
    return run(stack, NOW + 15 * MINUTE)


def test_first_backup_is_made_on_the_first_day_and_tried_out(stack):
    record = begun(stack)

    assert record.problem is record.verify_problem is None
    assert record.at == record.verified_at == NOW + 15 * MINUTE
    assert archive.verify(Path(record.file)).counts.predictions == 20
    assert Path(record.file).parent == stack.backup_folder
    assert not list(stack.home.glob(".rehearsal-*"))
    assert json.loads((stack.home / "run/backup.json").read_text())["at"] == "2026-11-29T12:15:00Z"


def test_one_a_day_and_one_trial_a_week_however_often_it_is_looked(stack):
    record, looks = begun(stack), []
    for hours in range(1, 24 * 8, 6):
        looks.append(run(stack, record.at + timedelta(hours=hours)))

    assert len({look.at for look in looks}) == 8
    assert len({look.verified_at for look in looks}) == 2


@pytest.mark.parametrize("jump", [timedelta(days=-365), timedelta(days=365)])
def test_clock_that_jumps_costs_one_more_backup_and_deletes_no_other_day(stack, jump):
    first = begun(stack)
    there = run(stack, first.at + jump)
    back = run(stack, first.at + 10 * MINUTE)

    assert there.at == first.at + jump
    assert back.at == first.at + 10 * MINUTE
    assert Path(there.file).exists() and Path(back.file).exists()
    assert run(stack, first.at + 20 * MINUTE).at == back.at


def test_none_is_made_where_it_is_turned_off(stack):
    off = stack.model_copy(update={"backup_daily": 0})
    scheduled.run(off, NOW, print)
    scheduled.run(off, NOW + DAY, print)

    assert scheduled.read(off) is None and not off.backup_folder.exists()


def test_last_of_seven_days_and_four_weeks_are_kept():
    days = [NOW - number * DAY for number in range(60)]
    names = [Path(f"stack-{at - timedelta(hours=hours):%Y%m%dT%H%M%SZ}-tag.tar.gz") for at in days for hours in (0, 5)]
    kept = sorted(set(names) - set(scheduled.superfluous(names, 7, 4)), reverse=True)

    assert [name.name[6:14] for name in kept] == [
        *("20261129", "20261128", "20261127", "20261126", "20261125", "20261124", "20261123"),
        *("20261122", "20261115", "20261108"),
    ]
    assert all("T120000Z" in name.name for name in kept)


def test_archives_of_others_are_not_deleted(stack):
    once = stack.model_copy(update={"backup_daily": 1, "backup_weekly": 0})
    first = begun(once)
    names = ("stack-20200101T000000Z.tar.gz", "stack-20200101T000000Z-x.tar.gz")
    others = [once.backup_folder / name for name in names]
    for other in others:
        other.touch()

    run(once, first.at + DAY)
    third = run(once, first.at + 2 * DAY)

    assert {*once.backup_folder.iterdir()} == {*others, Path(first.file), Path(third.file)}  # the first was tried out


def test_full_disk_is_reported_and_the_next_look_comes_soon(stack, monkeypatch):
    first = begun(stack)
    usage = shutil.disk_usage(stack.home)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=disk.RESERVE + 1000))
    waits = [scheduled.run(stack, first.at + DAY + wait, print) for wait in (timedelta(0), MINUTE, 60 * MINUTE)]
    failed = scheduled.read(stack)
    monkeypatch.undo()

    assert "MiB free" in failed.problem and "STACK_BACKUP_FOLDER" in failed.problem
    assert failed.at == first.at and Path(first.file).exists()
    assert waits == [timedelta(seconds=10), MINUTE, 10 * MINUTE]
    healed = run(stack, first.at + DAY + 61 * MINUTE)
    assert healed.problem is None and healed.failing_since is None


def test_folder_that_is_gone_is_reported_instead_of_made_on_another_disk(stack):
    first = begun(stack)
    stack.backup_folder.rename(stack.backup_folder.with_name("unmounted"))

    failed = run(stack, first.at + DAY)

    assert "mount its disk" in failed.problem
    assert not stack.backup_folder.exists()


def test_archive_that_is_gone_is_made_again(stack):
    first = begun(stack)
    Path(first.file).unlink()

    assert run(stack, first.at + MINUTE).at == first.at + MINUTE


def test_damaged_lake_is_archived_and_reported_and_no_older_archive_is_deleted(stack):
    once = stack.model_copy(update={"backup_daily": 1, "backup_weekly": 0})
    first = begun(once)
    damaged = max(once.lake.glob(".dvc/cache/files/md5/*/*[!r]"), key=lambda path: path.stat().st_size)
    damaged.chmod(0o644)
    damaged.write_bytes(b"rot")

    second = run(once, first.at + DAY)

    assert damaged.name in second.problem and "damaged" in second.problem
    assert Path(first.file).exists() and Path(second.file).exists()


def test_archive_that_rots_is_reported_and_the_next_one_is_tried(stack):
    first = begun(stack)
    Path(first.file).write_bytes(Path(first.file).read_bytes()[:-100])
    rotten = run(stack, first.at + timedelta(days=7) - MINUTE)  # the next backup is made, and is due for a trial later
    assert rotten.verify_problem is None
    Path(rotten.file).write_bytes(Path(rotten.file).read_bytes()[:-100])

    failed = run(stack, first.at + timedelta(days=7))
    assert "cut short" in failed.verify_problem or "CRC" in failed.verify_problem or "Error" in failed.verify_problem
    assert failed.verified_at == first.verified_at
    assert run(stack, first.at + timedelta(days=7, minutes=1)).verify_problem == failed.verify_problem
    assert run(stack, first.at + timedelta(days=8)).verify_problem is None


def test_backup_of_a_person_at_this_moment_is_no_problem(stack):
    run(stack, NOW)
    with backups.exclusive(stack):
        record = run(stack, NOW + 15 * MINUTE)

    assert record.problem is None and record.at is None


def test_damaged_record_begins_anew(stack):
    begun(stack)
    scheduled.path(stack).write_text("{")

    assert run(stack, NOW + DAY).problem is None


def test_what_a_killed_trial_has_left_is_deleted(stack):
    (stack.home / ".rehearsal-killed" / "home").mkdir(parents=True)
    begun(stack)

    assert not list(stack.home.glob(".rehearsal-*"))


def test_newest_archive_is_found_by_its_name(tmp_path):
    for name in ("stack-20261129T120000Z.tar.gz", "stack-20261130T000000Z-ab.tar.gz", "notes.tar.gz"):
        (tmp_path / name).touch()

    assert backups.newest(tmp_path).name == "stack-20261130T000000Z-ab.tar.gz"
