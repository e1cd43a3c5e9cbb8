"""Features of pushed rows, online before the lake has the rows: those that an ingest of the same moment would give."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa

from stack.features import _compat, feature_tables, features
from stack.features.feature_tables import TIME
from stack.project import Project
from stack.sources import inbox
from stack.validation import batches, validation

if TYPE_CHECKING:
    from stack.project.contract import Tables

MOST = 500_000
"""Rows before the pushed ones, within the features' lookback; features of more come with the next ingest."""


class OnlineRows:
    """Brings the features of a project's pushed rows online until an ingest does."""

    def __init__(self, project: Project) -> None:
        self.project, self.store = project, features.store(project.settings)
        self._views = {view.name: view for view in features.views(self.store, project.spec)}
        self._state: tuple[datetime, datetime] | None = None
        self._served: datetime | None = None
        self._before: Tables = {}
        """Rows of the lake within the lookback of what the last ingest has served."""
        self._new: Tables = {}
        """Rows of the inbox after them, up to the last call."""
        self._since = self._read_until = project.spec.clock.start

    def update(self, until: datetime) -> int:
        """Write the newest feature row of each entity after what an ingest has served; return the number of rows.

        Nothing is done where nothing has come, and no ingest has ended, since the last call.
        """
        came, ingested = inbox.instants(self.project.settings, self.project.name)
        served = feature_tables.served_until(self.project)
        if not self._views or came is None or ingested is None or came <= served or (came, served) == self._state:
            return 0
        written = 0
        if (tables := self._tables(served, ingested, until)) is not None:
            frames = self.project.features.build(tables, served, until)
            written = sum(self._write(name, frame) for name, frame in frames.items() if name in self._views)
        self._state = came, served
        return written

    def _tables(self, served: datetime, ingested: datetime, until: datetime) -> Tables | None:
        """Return the rows within the lookback, those of the inbox as an ingest would take them in; None: too many."""
        if self._served != served:
            self._before = self.project.lake.recent(served - self.project.features.LOOKBACK, ingested)
            self._new, self._since, self._read_until, self._served = {}, ingested, ingested, served
        if sum(map(len, self._before.values())) > MOST:
            return None
        keys = {name: table.key for name, table in self.project.spec.tables.items()}
        came = batches.fetch(self.project, self._read_until, until)
        self._new = {name: _joined(self._new.get(name), rows, keys[name]) for name, rows in came.items()}
        self._read_until = until
        clean = validation.clean(self.project, self._new, self._since, until)
        return {name: _joined(self._before[name], rows, keys[name]) for name, rows in clean.items()} or None

    def _write(self, name: str, frame: pd.DataFrame) -> int:
        view, at = self._views[name], frame[TIME].dt.tz_convert("UTC").dt.as_unit("us")
        rows = frame.assign(**{TIME: at}).sort_values(TIME, kind="stable").drop_duplicates(view.join_keys, keep="last")
        table = pa.Table.from_pandas(rows, preserve_index=False)
        _compat.write_online(self.store, view, _compat.online_rows(view, table))
        return len(rows)


def _joined(before: pd.DataFrame | None, new: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Return rows and those after them; of each key the later one."""
    parts = [part for part in (before, new) if part is not None and len(part)]
    return pd.concat(parts or [new], ignore_index=True).drop_duplicates(key, keep="last", ignore_index=True)
