"""Feature tables on disk: one parquet file a month, so that a year of hourly windows stays twelve files."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import cast

import pandas as pd
from filelock import FileLock

from stack.core import files
from stack.core.errors import StackError
from stack.project import Project

TIME = "event_timestamp"
MARK = "served_until"


def folder(project: Project) -> Path:
    """Return the folder of a project's feature tables."""
    return project.settings.feature_tables / project.name


def replace(table: Path, frame: pd.DataFrame, since: datetime, until: datetime) -> None:
    """Replace the rows of (since, until] in a feature table's folder; readers see whole files only.

    The frame has entity columns, ``event_timestamp`` and features; it may be empty.
    """
    frame = frame.assign(**{TIME: frame[TIME].dt.tz_convert("UTC").dt.as_unit("us")})
    first, last = pd.Timestamp(since).tz_convert("UTC"), pd.Timestamp(until).tz_convert("UTC")
    stray = frame[~_within(frame, first, last)]
    if len(stray):
        raise StackError(
            f"feature table {table.name}",
            found=f"{len(stray)} rows outside the window, one at {stray[TIME].iloc[0]}",
            expected=f"{TIME} in ({first}, {last}]",
            todo="fix build() in the project's features.py",
        )
    table.mkdir(parents=True, exist_ok=True)
    with FileLock(table.with_suffix(".lock")):
        for month in pd.period_range(first.tz_localize(None), last.tz_localize(None), freq="M"):
            replace_month(table / f"{month}.parquet", frame[months(frame) == month], first, last)


def replace_month(path: Path, frame: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> None:
    """Rewrite one month; a month without rows has no file, as DuckDB takes the types of a table from its first file."""
    if path.exists():
        old = pd.read_parquet(path)
        kept = old[~_within(old, first, last)]
        frame = pd.concat([part for part in (kept, frame) if len(part)] or [frame])
    if frame.empty:
        path.unlink(missing_ok=True)
        return
    rows = frame.sort_values(TIME, kind="stable")
    files.write(path, lambda new: rows.to_parquet(new, index=False, compression="zstd"))


def filled(folder: Path, views: Iterable[str]) -> list[str]:
    """Return the views of a project that have rows; Feast cannot read a table without a file."""
    return [view for view in views if any((folder / view).glob("*.parquet"))]


def months(frame: pd.DataFrame) -> pd.Series:
    """Return the month (UTC) of each row."""
    return cast(pd.Series, frame[TIME].dt.tz_localize(None).dt.to_period("M"))


def served_until(project: Project) -> datetime:
    """Return the instant up to which features are computed and online; a killed ingest leaves it behind the lake."""
    mark = folder(project) / MARK
    return datetime.fromisoformat(mark.read_text()) if mark.exists() else project.spec.clock.start


def mark_served(project: Project, until: datetime) -> None:
    """Record that the features up to an instant are computed and online: the next run resumes here."""
    files.write(folder(project) / MARK, until.isoformat())


def _within(frame: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> pd.Series:
    return cast(pd.Series, (frame[TIME] > first) & (frame[TIME] <= last))
