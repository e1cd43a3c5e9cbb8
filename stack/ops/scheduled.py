"""Backups by themselves: made daily, thinned, once a week restored into a scratch folder; and those asked for.

``python -m stack.ops.scheduled`` does what is due; the service ``backups`` runs it.

What is due follows from the record of the last ones, not from a timer: a machine that was off or asleep, a service
that was killed and a clock that was set are no exception. What makes a backup is imported when one is due, as it takes
seconds and 150 MB.
"""

import os
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ValidationError

from stack.core import files
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings, settings
from stack.ops import backup_request
from stack.ops.versions import BusyError

DAY, WEEK = timedelta(days=1), timedelta(days=7)
FIRST = timedelta(minutes=15)
"""How long the first backup waits for the first models."""
LOOK = timedelta(minutes=10)
RETRY = timedelta(seconds=10)
"""A failure is tried again after as long as it lasts, within these two."""
NAMES = "stack-*Z-{}.tar.gz"


class Record(BaseModel):
    """What became of the last backup, and of the last restore that was tried."""

    since: AwareDatetime
    """When this was looked at first."""
    at: AwareDatetime | None = None
    """Of the last good backup."""
    file: str | None = None
    """Its archive."""
    problem: str | None = None
    """Of the last attempt; None when it went well."""
    failing_since: AwareDatetime | None = None
    verified_at: AwareDatetime | None = None
    """When the last archive came back well."""
    verify_problem: str | None = None
    """Of the last try; None when it went well."""
    tried: str | None = None
    """The archive of the last try."""


def path(stack: Settings) -> Path:
    """Return the file of the record."""
    return stack.run / "backup.json"


def read(stack: Settings) -> Record | None:
    """Return the record; None where no backup has been due yet, or the file is damaged."""
    try:
        return Record.model_validate_json(path(stack).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def run(stack: Settings, now: datetime, report: Reporter) -> timedelta:
    """Do what is due, record what became of it, and return how long to wait before the next look."""
    backup_request.serve(stack, now, report)
    if not stack.backup_daily:
        return DAY
    record = read(stack) or Record(since=now)
    try:
        if backup_due(record, now):
            _back_up(stack, record, now, report)
        if not record.problem and _verification_due(record, now):
            _verify(stack, record, now, report)
    except BusyError as error:  # a person makes one at this moment
        report(str(error))
        return LOOK
    files.write(path(stack), record.model_dump_json(indent=1))
    return max(RETRY, min(LOOK, now - record.failing_since)) if record.failing_since else LOOK


def backup_due(record: Record, now: datetime) -> bool:
    """Return whether a day has passed since the last good backup, or its archive has gone."""
    if record.at is None:
        return bool(record.problem) or not timedelta() <= now - record.since < FIRST
    return bool(record.problem) or _passed(record.at, now, DAY) or not Path(record.file or "").exists()


def _verification_due(record: Record, now: datetime) -> bool:
    """Return whether a week has passed since an archive came back well; after a failure the next archive is tried."""
    if record.file is None or not Path(record.file).exists():
        return False
    if record.verify_problem:
        return record.tried != record.file
    return record.verified_at is None or _passed(record.verified_at, now, WEEK)


def _passed(last: datetime, now: datetime, span: timedelta) -> bool:
    """Return whether a span has passed; also where the clock was set back to before the last time."""
    return not timedelta() <= now - last < span


def _back_up(stack: Settings, record: Record, now: datetime, report: Reporter) -> None:
    """Write an archive, and delete the oldest that no rule keeps; never after one that has something wrong."""
    from stack.ops import backups

    folder = stack.backup_folder
    out = folder / f"stack-{now:%Y%m%dT%H%M%SZ}-{backups.tag(stack)}.tar.gz"

    def write() -> None:
        if record.file and Path(record.file).parent == folder and not folder.exists():
            todo = "mount its disk, or set STACK_BACKUP_FOLDER"
            raise StackError(str(folder), found="no such folder", expected="that of the last backup", todo=todo)
        manifest = backups.create(stack, out, now, report)
        record.at, record.file = now, str(out)
        backups.require_undamaged(out, manifest)

    record.problem = _problem(write, report)
    record.failing_since = (record.failing_since or now) if record.problem else None
    if not record.problem and not record.verify_problem:
        archives = folder.glob(NAMES.format(backups.tag(stack)))
        for old in superfluous(archives, stack.backup_daily, stack.backup_weekly):
            if str(old) != record.tried:  # the last that came back well
                report(f"deleted {old}")
                old.unlink()


def superfluous(archives: Iterable[Path], daily: int, weekly: int) -> list[Path]:
    """Return the archives that are neither the last of one of the newest days nor of one of the newest weeks."""
    days: dict[object, Path] = {}
    weeks: dict[object, Path] = {}
    newest_first = sorted(archives, reverse=True)
    for archive in newest_first:
        at = datetime.strptime(archive.name.split("-")[1], "%Y%m%dT%H%M%S%z")
        days.setdefault(at.date(), archive)
        weeks.setdefault(at.isocalendar()[:2], archive)
    kept = {*list(days.values())[:daily], *list(weeks.values())[:weekly]}
    return [archive for archive in newest_first if archive not in kept]


def _verify(stack: Settings, record: Record, now: datetime, report: Reporter) -> None:
    from stack.ops import rehearsal

    record.tried = record.file
    record.verify_problem = _problem(partial(rehearsal.rehearse, stack, Path(record.file or ""), report), report)
    if not record.verify_problem:
        record.verified_at = now


def _problem(attempt: Callable[[], object], report: Reporter) -> str | None:
    """Return why an attempt failed, in one line; None when it went well."""
    try:
        attempt()
    except BusyError:
        raise
    except StackError as error:
        report(str(error))
        return f"{error.where}: found {error.found}, expected {error.expected}. To do: {error.todo}"
    except Exception as error:  # noqa: BLE001  # any failure has to reach the record
        report(f"{type(error).__name__}: {error}")
        return f"{type(error).__name__}: {error}. To do: make logs SERVICE=backups"
    return None


def main() -> None:
    """Do what is due, when nothing else wants the processors; print the seconds until the next look."""
    os.nice(10)
    print(run(settings(), datetime.now(UTC), partial(print, file=sys.stderr, flush=True)).total_seconds())


if __name__ == "__main__":
    main()
