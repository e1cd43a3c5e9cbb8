"""Features pushed online as they become known: each row of the feature tables at its own instant."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from stack.features import feature_tables, features
from stack.features.feature_tables import TIME
from stack.project import Project

INSTANT = timedelta(microseconds=1)


class Ticks:
    """Pushes feature rows into the online store, instant by instant; keeps the store open."""

    def __init__(self, project: Project) -> None:
        self.settings, self.spec = project.settings, project.spec
        self.store = features.store(project.settings)
        self.columns = {
            view.name: [field.name for field in view.features] for view in features.views(self.store, project.spec)
        }
        self._rows: dict[datetime, dict[str, pd.DataFrame]] = {}

    def load(self, since: datetime, until: datetime) -> list[datetime]:
        """Load the rows of (since, until]; return the instants at which some become known, in order."""
        self._rows = {}
        folder = self.settings.feature_tables / self.spec.name
        window = [(TIME, ">", pd.Timestamp(since)), (TIME, "<=", pd.Timestamp(until))]
        for view in feature_tables.filled(folder, self.columns):
            for instant, rows in pd.read_parquet(folder / view, filters=window).groupby(TIME):
                self._rows.setdefault(pd.Timestamp(str(instant)).to_pydatetime(), {})[view] = rows
        return sorted(self._rows)

    def push(self, instant: datetime) -> None:
        """Bring the rows of an instant online.

        Feast materialises at 0.24 s a call, most of it the search for the newest rows; these are known to be the
        newest. It refuses to push rows that are all null, though they hide older values: those are materialised.
        """
        for view, rows in self._rows.get(instant, {}).items():
            if rows[self.columns[view]].isna().all(axis=None):
                self.store.materialize(instant - INSTANT, instant, feature_views=[view])
            else:
                self.store.write_to_online_store(view, rows)
