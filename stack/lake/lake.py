"""The lake: raw tables in daily or hourly batches, each batch one DVC version and one git commit.

``<lake>/<project>/raw/<table>/<batch>.parquet``, tracked by ``<lake>/<project>/raw.dvc``. What is not committed is not
there: readers take the files of a revision from DVC's cache, never from the working tree.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.scm import Git, RevError
from scmrepo.exceptions import SCMError

from stack.core import disk
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import keys, repository
from stack.lake.repository import Snapshot
from stack.specification.specs import ProjectSpec
from stack.specification.specs import Table as TableSpec

INSTANT = "%Y%m%dT%H%M%SZ"


def prepare(settings: Settings) -> None:
    """Make the data registry, or mend what a killed process has left; a sound one is left as it is."""
    with repository.opened(settings):
        pass


def append(
    settings: Settings, spec: ProjectSpec, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> str:
    """Add the rows that became known in (since, until] as one new version.

    Killed at any point, a retry ends in exactly one commit. A batch that is there already is not added again.

    Returns:
        The git revision that holds the batch.

    Raises:
        StackError: the window has other rows already, a row's key is in the lake, a row is outside the window, or the
            disk is too full.
    """
    batch = batch_id(since, until)
    content = {name: _table(spec, name, tables, since, until) for name in spec.tables}
    with repository.opened(settings) as repo:
        known = repository.snapshot(repo, spec.name, repo.scm.get_rev())
        if any(stored == batch for _, stored in known.files):
            _same(known, spec, content, batch)
            found = repository.revisions(repo)[_subject(spec, batch)]
        else:
            disk.require_reserve(settings, f"batch {batch} of {spec.name}")
            _fitting(known, spec, content, batch)
            seen = keys.check(repo, known, spec, content, batch)
            found = _commit(repo, spec, content, batch)
            keys.remember(repo, spec, seen)
        if settings.lake_remote:
            repo.push()
        return found


def read(
    settings: Settings,
    spec: ProjectSpec,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    revision: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Read the rows that became known in (since, until], at a revision or at the newest one.

    Of a snapshot table's rows of one key the latest is given.

    Raises:
        StackError: no such revision, or its files are neither in DVC's cache nor in its remote.
    """
    with repository.opened(settings) as repo:
        paths = _paths(repo, spec, revision or str(repo.scm.get_rev()), since, until)
    return {name: _rows(table, paths[name].values(), since, until) for name, table in spec.tables.items()}


def recent(settings: Settings, spec: ProjectSpec, since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
    """Read the rows that became known in (since, until], but snapshot tables whole, as they stood at `until`."""
    rows = read(settings, spec, since=since, until=until)
    snapshots = [name for name, table in spec.tables.items() if table.snapshot]
    if snapshots:
        whole = read(settings, spec, until=until)
        rows |= {name: whole[name] for name in snapshots}
    return rows


def revision(settings: Settings, spec: ProjectSpec | None = None) -> str:
    """The newest revision of the lake; of a project, the newest that has changed its data, whatever others added."""
    if not settings.lake.exists():
        prepare(settings)
    scm = Git(str(settings.lake))
    try:
        return repository.last_change(scm, spec.name) if spec else str(scm.get_rev())
    finally:
        scm.close()


def batches(settings: Settings, spec: ProjectSpec) -> pd.DataFrame:
    """List a project's batches in the order of time: batch, since, until, revision, and the rows of each table."""
    with repository.opened(settings) as repo:
        paths = _paths(repo, spec, str(repo.scm.get_rev()), None, None)
        commits = repository.revisions(repo)
    names = sorted({batch for table in paths.values() for batch in table})
    rows = {
        name: [pq.read_metadata(paths[name][batch]).num_rows if batch in paths[name] else 0 for batch in names]
        for name in spec.tables
    }
    windows = [window(name) for name in names]
    return pd.DataFrame(
        {
            "batch": names,
            "since": pd.to_datetime([since for since, _ in windows], utc=True).as_unit("us"),
            "until": pd.to_datetime([until for _, until in windows], utc=True).as_unit("us"),
            "revision": [commits.get(_subject(spec, name), "") for name in names],
        }
        | rows
    )


def newest(settings: Settings, spec: ProjectSpec) -> dict[str, datetime]:
    """End of the last batch that has a row, for each table that has one."""
    with repository.opened(settings) as repo:
        paths = _paths(repo, spec, str(repo.scm.get_rev()), None, None)
    found = {}
    for name, files in paths.items():
        filled = (batch for batch in sorted(files, reverse=True) if pq.read_metadata(files[batch]).num_rows)
        if last := next(filled, None):
            found[name] = window(last)[1]
    return found


def batch_id(since: datetime, until: datetime) -> str:
    """Name the window of a batch."""
    return f"{since.astimezone(UTC):{INSTANT}}_{until.astimezone(UTC):{INSTANT}}"


def window(batch: str) -> tuple[datetime, datetime]:
    """Read the window from the name of a batch."""
    since, until = (datetime.strptime(part, INSTANT).replace(tzinfo=UTC) for part in batch.split("_"))
    return since, until


def _subject(spec: ProjectSpec, batch: str) -> str:
    return f"Append {spec.name} {batch}"


def _table(
    spec: ProjectSpec, name: str, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> pa.Table:
    """Check one table of a batch, order it by its key, and bring its instants to UTC microseconds."""
    where, table = f"batch {batch_id(since, until)} of {spec.name}, table {name}", spec.tables[name]
    frame = tables.get(name)
    needed = [*table.key, table.available_at]
    if frame is None or not set(needed) <= set(frame.columns):
        found = "no such table" if frame is None else ", ".join(map(str, frame.columns))
        raise StackError(where, found=found, expected=f"a table with the columns {', '.join(needed)}")
    frame = in_utc(frame)
    outside = ~((frame[table.available_at] > pd.Timestamp(since)) & (frame[table.available_at] <= pd.Timestamp(until)))
    if outside.any():
        stray = frame.loc[outside, table.available_at].iloc[0]
        raise StackError(
            where, found=f"{outside.sum()} rows outside the window, one at {stray}", expected="rows inside"
        )
    twice = frame.duplicated(table.key)
    if twice.any():
        raise StackError(where, found=f"a key twice: {_first(frame[twice], table)}", expected="each key once")
    return pa.Table.from_pandas(frame.sort_values(table.key, ignore_index=True), preserve_index=False)


def in_utc(frame: pd.DataFrame) -> pd.DataFrame:
    """Bring the instants of a table to microseconds, UTC; one without a zone is UTC."""
    instants = frame.select_dtypes(["datetime", "datetimetz"])
    return pd.concat([frame.drop(columns=instants.columns), instants.apply(_micros)], axis=1)[frame.columns]


def _micros(instants: pd.Series) -> pd.Series:
    utc = instants.dt.tz_localize(UTC) if instants.dt.tz is None else instants.dt.tz_convert(UTC)
    return cast(pd.Series, utc.dt.as_unit("us"))


def _first(frame: pd.DataFrame, table: TableSpec) -> str:
    """Name the first row of a frame by its key."""
    return ", ".join(f"{column} {frame[column].iloc[0]}" for column in table.key)


def _commit(repo: Repo, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> str:
    with repository.journal(repo, spec.name, batch):
        files = []
        for name, table in content.items():
            files.append(repository.folder(repo, spec.name) / name / f"{batch}.parquet")
            repository.write(files[-1], partial(pq.write_table, table, compression="zstd"))
        rows = ", ".join(f"{table.num_rows} {name}" for name, table in content.items())
        return repository.commit(repo, spec.name, files, f"{_subject(spec, batch)}\n\n{rows}\n")


def _fitting(known: Snapshot, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> None:
    """Refuse a column of another type than the last batch's: the table could not be read as one any more."""
    last = {table: path for (table, _), path in known.files.items()}
    for name in content.keys() & last.keys():
        before = pq.read_schema(last[name])
        for field in content[name].schema:
            if field.name not in before.names:
                continue
            try:
                pa.unify_schemas(
                    [pa.schema([before.field(field.name)]), pa.schema([field])], promote_options="permissive"
                )
            except pa.ArrowException:
                raise StackError(
                    f"batch {batch} of {spec.name}, table {name}, column {field.name}",
                    found=str(field.type),
                    expected=f"{before.field(field.name).type}, as in the batches before",
                    todo="convert it in the project's source.py",
                ) from None


def _same(known: Snapshot, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> None:
    """Refuse other rows for a window that is in the lake."""
    for name, table in content.items():
        path = known.files.get((name, batch))
        if path is None or not pq.ParquetFile(path).read().equals(table):
            raise StackError(
                f"batch {batch} of {spec.name}, table {name}",
                found="other rows than the lake already has for this window",
                expected="the same rows, or a window that is not in the lake",
                todo="give corrections a window of their own, as rows that became known later",
            )


def _paths(
    repo: Repo, spec: ProjectSpec, revision: str, since: datetime | None, until: datetime | None
) -> dict[str, dict[str, str]]:
    """Find the files of a revision that overlap (since, until] in DVC's cache: table -> batch -> path."""
    try:
        known = repository.snapshot(repo, spec.name, revision)
        found = {
            (table, batch): path
            for (table, batch), path in known.files.items()
            if (since is None or window(batch)[1] > since) and (until is None or window(batch)[0] < until)
        }
        if not all(map(os.path.exists, found.values())):
            repository.fetch(repo, revision)
    except (RevError, SCMError) as error:
        raise StackError(
            "lake", found=f"no revision {revision}: {error}", expected="a revision of its git log"
        ) from None
    except (DvcException, FileNotFoundError) as error:
        raise StackError(
            f"lake, revision {revision}",
            found=f"files are missing from DVC's cache: {error}",
            expected="the cache below .dvc/cache, or a DVC remote that has them",
            todo="set STACK_LAKE_REMOTE to the remote that the lake was pushed to",
        ) from None
    return {name: {batch: path for (table, batch), path in found.items() if table == name} for name in spec.tables}


def _rows(table: TableSpec, paths: Iterable[str], since: datetime | None, until: datetime | None) -> pd.DataFrame:
    frame = repository.frame(paths, [*table.key, table.available_at])
    known = frame[table.available_at]
    inside = pd.Series(True, index=frame.index)
    if since is not None:
        inside &= known > pd.Timestamp(since)
    if until is not None:
        inside &= known <= pd.Timestamp(until)
    frame = frame[inside].sort_values([table.available_at, *table.key], ignore_index=True)
    return frame.drop_duplicates(table.key, keep="last", ignore_index=True) if table.snapshot else frame
