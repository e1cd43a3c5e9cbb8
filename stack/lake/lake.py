"""The lake: raw tables in daily or hourly batches, each batch a DVC version and a git commit.

``<lake>/<project>/<partition>/<table>/<batch>.parquet``, tracked by ``<lake>/<project>/<partition>.dvc``: a partition
is a month of daily batches, ``2013-01/month``, or a day of shorter ones, ``2013-01/day-05``. What is not committed is
not there: readers take the files of a revision from DVC's cache, never from the working tree.
"""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

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
from stack.lake import _compat, contents, history, integrity, keys, migration, repository, windows
from stack.lake.files import Files
from stack.lake.repository import Repository
from stack.lake.windows import batch_id as batch_id
from stack.lake.windows import window
from stack.specification.specs import ProjectSpec

GROUP = 100_000
"""Rows of a row group, of which a reader of a window skips the others."""
BLOCK, SPAN = 1_000_000, 2_000_000
"""Rows that are read at a time: where each is seen alone, and where features look back from each."""


def prepare(settings: Settings) -> None:
    """Create the data registry, or recover it after a killed process."""
    with repository.opened(settings):
        pass


def migrate(settings: Settings) -> list[str]:
    """Migrate a lake of an earlier release to the present layout, and return the projects that this changed.

    Every revision stays readable, by `read` and `dvc checkout`. Killed at any point, it is completed by the next run.
    """
    if not settings.lake.exists():
        return []
    with repository.opened(settings) as repo:
        return migration.run(settings, repo)


def remove(settings: Settings, project: str) -> int:
    """Remove a project's data from the newest revision, and return how many partitions there were.

    Earlier revisions stay readable until ``dvc gc --workspace`` is asked for.
    """
    if not settings.lake.exists():
        return 0
    with repository.opened(settings) as repo:
        parts = [name for name, _ in repository.partitions(repo, project, "HEAD")]
        repository.remove(repo, project)
        keys.forget(repo, project)
    return len(parts)


def newest_revision(settings: Settings, project: str | None = None) -> str:
    """Return the newest revision of the lake, or the newest that has changed a project's data."""
    if not settings.lake.exists():
        prepare(settings)
    scm = Git(str(settings.lake))
    try:
        return history.last_change(scm, project) if project else str(scm.get_rev())
    finally:
        scm.close()


class Lake:
    """The raw tables of a project."""

    def __init__(self, repository: Repository, spec: ProjectSpec) -> None:
        self._settings, self.spec = repository.settings, spec

    @integrity.guarded
    def append(self, tables: Mapping[str, pd.DataFrame], since: datetime, until: datetime) -> str:
        """Add the rows that became known in (since, until] as a new version; return the git revision of the batch.

        Killed at any point, a retry ends in exactly one commit. A batch that the lake has is not added again.
        StackError: the window has other rows already, the key of a row is in the lake, a row is outside the window, or
        the disk is too full.
        """
        batch = batch_id(since, until)
        content = {name: contents.checked(self.spec, name, tables, since, until) for name in self.spec.tables}
        with repository.opened(self._settings) as repo:
            migration.run(self._settings, repo)
            name = f"{self.spec.name}/{windows.partition(batch)}"
            file = history.entry(repo.scm, "HEAD", f"{name}.dvc")
            known = repository.files(repo, file, "HEAD") if file else {}
            if any(stored == batch for _, stored in known):
                contents.require_same_rows(known, self.spec, content, batch)
                commits = history.revisions(repo.scm, self.spec.name)
                revision = next((commit for stored, commit in commits if stored == batch), str(repo.scm.get_rev()))
            else:
                disk.require_reserve(self._settings, f"batch {batch} of {self.spec.name}")
                contents.require_same_types(repo, self.spec, content, batch)
                new = keys.check(repo, self.spec, content, batch)
                revision = _commit(repo, self.spec, content, batch)
                keys.remember(repo, self.spec, new)
            if self._settings.lake_remote:
                repository.push_all_once(repo, self._settings.lake_remote)
            return revision

    @integrity.guarded
    def read(
        self, *, since: datetime | None = None, until: datetime | None = None, revision: str | None = None
    ) -> dict[str, pd.DataFrame]:
        """Read the rows that became known in (since, until], at a revision or at the newest.

        Of rows with the same key, as snapshot and corrected tables have them, only the latest is read.
        StackError: no such revision, or its files are neither in DVC's cache nor in its remote.
        """
        with repository.opened(self._settings) as repo:
            paths = _paths(repo, self.spec, revision or str(repo.scm.get_rev()), since, until)
        return {name: contents.known_rows(table, paths[name], since, until) for name, table in self.spec.tables.items()}

    def blocks(self, until: datetime, rows: int = BLOCK) -> Iterator[dict[str, pd.DataFrame]]:
        """Yield the rows that became known up to an instant, about so many at a time, at least one block.

        A project of several tables, or whose keys may return, has one block: their rows belong together.
        """
        (name, table), *others = self.spec.tables.items()
        if others or table.identity != table.key or len(ends := self._ends(None, until, rows)) < 2:
            yield self.read(until=until)
            return
        for since, end in pairwise([None, *ends]):
            yield self.read(since=since, until=end)

    def spans(self, since: datetime, until: datetime, lookback: timedelta) -> Iterator[tuple[datetime, datetime]]:
        """Split (since, until] into parts where it is long, and the lake has many rows in it and the time before it."""
        ends = self._ends(since - lookback, until, SPAN) if until - since > windows.DAY else []
        return pairwise([since, *(end for end in ends if since < end < until), until])

    @integrity.guarded
    def _ends(self, since: datetime | None, until: datetime, rows: int) -> list[datetime]:
        """Return instants, the last of them `until`, between which about so many rows became known."""
        with repository.opened(self._settings) as repo:
            paths = _paths(repo, self.spec, str(repo.scm.get_rev()), since, until)
        groups = [
            group
            for name, table in self.spec.tables.items()
            for path in paths[name].values()
            for group in contents.groups(path, table.available_at)
        ]
        ends: list[datetime] = []
        count, end = 0, until
        for last, size in sorted(group for group in groups if not since or group[0] > since):
            if count >= rows and end < until and end not in ends:
                ends.append(end)
                count = 0
            count, end = count + size, last
        return [*ends, until]

    def recent(self, since: datetime, until: datetime) -> dict[str, pd.DataFrame]:
        """Read the rows that became known in (since, until], but snapshot tables whole, as they stood at `until`."""
        rows = self.read(since=since, until=until)
        snapshots = [name for name, table in self.spec.tables.items() if table.snapshot]
        if snapshots:
            whole = self.read(until=until)
            rows |= {name: whole[name] for name in snapshots}
        return rows

    @integrity.guarded
    def files(self, since: datetime, until: datetime) -> Files:
        """Find the files of what :meth:`recent` reads, for another process to read them."""
        with repository.opened(self._settings) as repo:
            revision = str(repo.scm.get_rev())
            stored = _paths(repo, self.spec, revision, since, until)
            if snapshots := [name for name, table in self.spec.tables.items() if table.snapshot]:
                whole = _paths(repo, self.spec, revision, None, until)
                stored |= {name: whole[name] for name in snapshots}
        return Files(self.spec.tables, stored, since, until)

    def revision(self) -> str:
        """Return the newest revision that has changed the project's data, whatever others added."""
        return newest_revision(self._settings, self.spec.name)

    @integrity.guarded
    def batches(self) -> pd.DataFrame:
        """List a project's batches in the order of time: batch, since, until, revision, and the rows of each table."""
        with repository.opened(self._settings) as repo:
            paths = _paths(repo, self.spec, str(repo.scm.get_rev()), None, None)
            commits = dict(history.revisions(repo.scm, self.spec.name))
        names = sorted({batch for table in paths.values() for batch in table})
        rows = {
            name: [pq.read_metadata(paths[name][batch]).num_rows if batch in paths[name] else 0 for batch in names]
            for name in self.spec.tables
        }
        since, until = (pd.to_datetime([window(name)[end] for name in names], utc=True).as_unit("us") for end in (0, 1))
        revisions = [commits.get(name, "") for name in names]
        return pd.DataFrame({"batch": names, "since": since, "until": until, "revision": revisions} | rows)

    @integrity.guarded
    def ingested_until(self) -> datetime | None:
        """Return the end of the last batch; None where there is none."""
        ends: list[datetime] = []
        with repository.opened(self._settings) as repo:
            for name, file in repository.partitions(repo, self.spec.name, "HEAD"):
                if not ends or windows.may_overlap(name, max(ends), None):
                    ends += [window(batch)[1] for _, batch in repository.files(repo, file, "HEAD")]
        return max(ends, default=None)

    @integrity.guarded
    def newest(self) -> dict[str, datetime]:
        """Return, for each table with a row, the end of the last batch that has one."""
        ends: dict[str, datetime] = {}
        with repository.opened(self._settings) as repo:
            parts = repository.partitions(repo, self.spec.name, "HEAD")
            for _, of_month in groupby(parts, key=lambda part: part[0].partition("/")[0]):
                files = [repository.files(repo, file, "HEAD") for _, file in of_month]
                ordered = sorted((batch, table, path) for part in files for (table, batch), path in part.items())
                for batch, table, path in reversed(ordered):
                    if table in self.spec.tables and table not in ends and pq.read_metadata(path).num_rows:
                        ends[table] = window(batch)[1]
                if len(ends) == len(self.spec.tables):
                    break
        return ends


def _commit(repo: Repo, spec: ProjectSpec, content: Mapping[str, pa.Table], batch: str) -> str:
    name = windows.partition(batch)
    folder, added = Path(repo.root_dir, spec.name, name), []
    with repository.journal(repo, project=spec.name, partition=name, batch=batch), _compat.lock(repo):
        for table_name, table in content.items():
            added.append(folder / table_name / f"{batch}.parquet")
            repository.write(added[-1], partial(pq.write_table, table, compression="zstd", row_group_size=GROUP))
        rows = ", ".join(f"{table.num_rows} {table_name}" for table_name, table in content.items())
        message = history.message(f"Append {spec.name} {batch}", rows, Project=spec.name, Batch=batch)
        return repository.commit(repo, folder, added, message)


def _paths(
    repo: Repo, spec: ProjectSpec, revision: str, since: datetime | None, until: datetime | None
) -> dict[str, dict[str, str]]:
    """Find the files of a revision that overlap (since, until] in DVC's cache: table -> batch -> path."""
    try:
        paths = {
            (table, batch): path
            for (table, batch), path in repository.snapshot(repo, spec.name, revision, since, until).items()
            if (since is None or window(batch)[1] > since) and (until is None or window(batch)[0] < until)
        }
        if not all(map(os.path.exists, paths.values())):
            repository.fetch(repo, revision)
    except (RevError, SCMError) as error:
        found, expected = f"no revision {revision}: {error}", "a revision of its git log"
        raise StackError("lake", found=found, expected=expected) from None
    except (DvcException, FileNotFoundError) as error:
        raise StackError(
            f"lake, revision {revision}",
            found=f"files are missing from DVC's cache: {error}",
            expected="the cache below .dvc/cache, or a DVC remote that has them",
            todo="set STACK_LAKE_REMOTE to the remote that the lake was pushed to",
        ) from None
    return {name: {batch: path for (table, batch), path in paths.items() if table == name} for name in spec.tables}
