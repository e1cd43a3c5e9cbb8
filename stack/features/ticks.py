"""Feature rows brought online as they become known, without a search for the newest ones."""

from collections.abc import Iterable
from datetime import datetime

import pandas as pd
import pyarrow.parquet as pq

from stack.features import _compat, feature_tables, features
from stack.features.feature_tables import TIME
from stack.project import Project


class Ticks:
    """Brings the feature rows of a window online, instant by instant; keeps the store open."""

    def __init__(self, project: Project) -> None:
        self._store = features.store(project.settings)
        self._folder = feature_tables.folder(project)
        self._views = {view.name: view for view in features.views(self._store, project.spec)}
        self._rows: dict[datetime, dict[str, list[_compat.OnlineRow]]] = {}

    def load(self, since: datetime, until: datetime) -> list[datetime]:
        """Load the rows of (since, until]; return the instants at which some become known, in order."""
        self._rows = {}
        window = [(TIME, ">", pd.Timestamp(since)), (TIME, "<=", pd.Timestamp(until))]
        for view in feature_tables.filled(self._folder, self._views):
            for row in _compat.online_rows(self._views[view], pq.read_table(self._folder / view, filters=window)):
                self._rows.setdefault(row.event_timestamp, {}).setdefault(view, []).append(row)
        return sorted(self._rows)

    def push(self, instants: Iterable[datetime]) -> None:
        """Bring the rows of some instants online, given in order."""
        for name, view in self._views.items():
            rows = [row for instant in instants for row in self._rows.get(instant, {}).get(name, ())]
            if rows:
                _compat.write_online(self._store, view, rows)
