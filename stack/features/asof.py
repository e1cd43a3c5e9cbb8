"""The SQL of a point-in-time join with one feature view, by DuckDB's ASOF."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, Self

import pyarrow as pa
from duckdb import DuckDBPyConnection
from feast import FeatureView, FileSource
from feast.data_format import ParquetFormat
from feast.data_source import DataSource
from feast.types import from_feast_to_pyarrow_type

MICROSECOND = timedelta(microseconds=1)


def is_local_parquet(source: DataSource | None) -> bool:
    """Return whether a source is parquet in local files."""
    if not isinstance(source, FileSource) or "://" in source.path:
        return False
    return isinstance(source.file_format, ParquetFormat) or (
        not source.file_format and source.path.endswith(".parquet")
    )


class Join(NamedTuple):
    """A feature view, and what a retrieval asks of it."""

    view: FeatureView
    keys: dict[str, str]
    """Column of the feature table -> column of the events."""
    features: dict[str, str]
    """Feature -> column of the result."""

    @classmethod
    def of(cls, view: FeatureView, feature_refs: Sequence[str], full_feature_names: bool) -> Self:
        """Find a view's keys, and its features among those of a retrieval."""
        keys = view.projection.join_key_map or {column.name: column.name for column in view.entity_columns}
        begin = f"{view.projection.name_to_use()}:"
        features = [ref.split(":")[1] for ref in feature_refs if ref.startswith(begin)]
        # The version of a view is part of a reference, and not of a column's name.
        prefix = f"{view.projection.name_alias or view.name}__" if full_feature_names else ""
        return cls(view, keys, {feature: prefix + feature for feature in features})

    @property
    def is_empty(self) -> bool:
        """Return whether the view's table is a folder without a file: it was computed, and no row is known yet."""
        folder = Path(self.view.batch_source.path)
        return folder.is_dir() and not any(folder.glob("*.parquet"))

    def nulls(self, rows: int) -> pa.Table:
        """Return the features of rows of which nothing is known."""
        types = {field.name: from_feast_to_pyarrow_type(field.dtype) for field in self.view.features}
        return pa.table({name: pa.nulls(rows, types[feature]) for feature, name in self.features.items()})

    def query(self, connection: DuckDBPyConnection, first: int | None, last: int | None) -> str:
        """Return the SQL that joins the table `events`: `row`, which orders the result, time `t`, and keys `k0` ...

        Feature rows that no event between `first` and `last` (microseconds since the epoch) can see are not read.
        """
        source, ttl = self.view.batch_source, (self.view.ttl or timedelta(0)) // MICROSECOND
        path = source.path.replace("'", "''")
        table = f"read_parquet(['{path}'])"
        stored = _renamed(connection.sql(f"FROM {table}").columns, source.field_mapping)
        keys = [f"k{position}" for position in range(len(self.keys))]
        columns = [f"CAST({stored[source.timestamp_field]} AS TIMESTAMPTZ) AS t"]
        columns += [f"{stored[key]} AS {alias}" for key, alias in zip(self.keys, keys, strict=True)]
        columns += [f"{stored[feature]} AS f{position}" for position, feature in enumerate(self.features)]
        seen = f"t <= {_instant(last)}" + (f" AND t >= {_instant(first)} - to_microseconds({ttl})" if ttl else "")
        if source.created_timestamp_column:
            # Of rows with the same keys and time, ASOF takes any: leave the one that was created last.
            columns.append(f"CAST({stored[source.created_timestamp_column]} AS TIMESTAMPTZ) AS created")
            seen += f" QUALIFY row_number() OVER (PARTITION BY {', '.join(['t', *keys])} ORDER BY created DESC) = 1"
        feature = f"CASE WHEN v.t + to_microseconds({ttl}) >= e.t THEN v.f{{}} END" if ttl else "v.f{}"
        names = enumerate(self.features.values())
        features = [f"{feature.format(position)} AS {identifier(name)}" for position, name in names]
        conditions = [*(f"e.{key} = v.{key}" for key in keys), "e.t >= v.t"]
        return f"""
            SELECT {", ".join(features)}
            FROM (SELECT * REPLACE (CAST(t AS TIMESTAMPTZ) AS t) FROM events) e
            ASOF LEFT JOIN (FROM (SELECT {", ".join(columns)} FROM {table}) WHERE {seen}) v
            ON {" AND ".join(conditions)}
            ORDER BY e.row
        """  # noqa: S608  # names are quoted


def identifier(name: str) -> str:
    """Return a column's name as it stands in SQL."""
    return '"' + name.replace('"', '""') + '"'


def _renamed(columns: Sequence[str], mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the columns of a source by the names that its ``field_mapping`` gives them."""
    stored = {name: identifier(name) for name in columns}
    for old, new in mapping.items():
        if old in stored:
            stored[new] = stored.pop(old)
    return stored


def _instant(microseconds: int | None) -> str:
    return f"make_timestamptz({'NULL::BIGINT' if microseconds is None else microseconds})"
