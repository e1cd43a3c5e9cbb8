"""On-demand views over many events, where Feast makes Python objects of every column of the joined table."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pyarrow as pa
from feast import OnDemandFeatureView

CHUNK = 100_000
"""Rows of which there are Python objects at a time."""
INSTANT = pa.timestamp("us", "UTC")


class Declared:
    """An on-demand view that is given the columns of the events, and the features that are among its sources.

    A function that asks for another column is given all. In Python mode, functions see some rows at a time and are
    called as they are online.
    """

    def __init__(self, view: OnDemandFeatureView, events: Sequence[str]) -> None:
        self._view = view
        sources = view.source_feature_view_projections.values()
        names = [(field.name, f"{source.name}__{field.name}") for source in sources for field in source.features]
        self._inputs = set(events).union(*names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def transform_arrow(self, table: pa.Table, full_feature_names: bool = False) -> pa.Table:
        """Return the features of joined rows, as the view's own method does."""
        inputs = [name for name in table.column_names if name in self._inputs]
        try:
            return self._transform(table.select(inputs), full_feature_names)
        except KeyError:
            return self._transform(table, full_feature_names)

    def _transform(self, table: pa.Table, full_feature_names: bool) -> pa.Table:
        if self._view.mode != "python" or self._view.singleton:
            return self._view.transform_arrow(table, full_feature_names)
        chunks = [table.slice(start, CHUNK) for start in range(0, max(len(table), 1), CHUNK)]
        # A chunk of nulls, or of whole numbers, takes the type of the others.
        return pa.concat_tables(
            [self._features(rows, full_feature_names) for rows in chunks], promote_options="permissive"
        )

    def _features(self, rows: pa.Table, full_feature_names: bool) -> pa.Table:
        columns = self._view.transform_dict({name: _objects(rows[name]) for name in rows.column_names})
        prefix, features = f"{self._view.projection.name_to_use()}__", {}
        for field in self._view.features:
            short, full = field.name, prefix + field.name
            if short in columns or full in columns:
                features[full if full_feature_names else short] = columns[short if short in columns else full]
        return pa.table(features)


def _objects(column: pa.ChunkedArray) -> list[Any]:
    """Return a column as Python objects; pyarrow takes ten times as long for instants with a zone."""
    if column.type != INSTANT:
        return list(column.to_pylist())
    instants = column.cast(pa.timestamp("us")).to_numpy().astype(object)
    return [instant and instant.replace(tzinfo=UTC) for instant in instants]
