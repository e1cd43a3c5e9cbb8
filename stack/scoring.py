"""Batch scoring: the champion answers for many rows at once, with the features of each row's own instant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import pandas as pd
from pandas import DataFrame

from stack import features, registry
from stack.errors import StackError, nearest
from stack.project import ProjectSpec
from stack.registry import Version
from stack.served import ServedModel
from stack.settings import Settings

ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"


def score(settings: Settings, spec: ProjectSpec, version: Version, frame: DataFrame) -> DataFrame:
    """Add a version's answer to rows that hold the feature columns.

    Returns:
        `frame` with ``probability``, ``decision`` and ``model_version``.
    """
    with TemporaryDirectory() as folder:
        registry.fetch(settings, version, Path(folder))
        model = ServedModel(Path(folder))
        probability = model.predict({column: frame[column] for column in spec.features.columns})[:, 0]
    return frame.assign(probability=probability, decision=probability >= spec.threshold, model_version=version.version)


def window(settings: Settings, spec: ProjectSpec, since: datetime, until: datetime) -> DataFrame:
    """Score everything that would be asked in (since, until]."""
    requests: DataFrame = spec.module("source").requests(since, until)
    frame = features.training_set(settings, spec, requests.rename(columns={"asked_at": "event_timestamp"}))
    return score(settings, spec, registry.require_champion(settings, spec), frame)


def file(settings: Settings, spec: ProjectSpec, path: Path, now: datetime) -> DataFrame:
    """Score the rows of a CSV or Parquet file that holds the request fields.

    Args:
        now: the instant of rows without a column ``asked_at``.

    Raises:
        StackError: a request field is missing, or an instant has no zone.
    """
    rows = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    for name, field in spec.request.items():
        if name not in rows.columns:
            raise StackError(
                f"{path}, column {name}",
                found=f"no such column{nearest(name, rows.columns)}",
                expected=f"{field.description} ({field.type}), like {field.example!r}",
                todo="add the column",
            )
        if field.type == "datetime":
            rows[name] = _instants(path, rows[name])
    asked = _instants(path, rows.pop("asked_at")) if "asked_at" in rows else pd.Timestamp(now).as_unit("us")
    frame = rows.assign(event_timestamp=asked, event_id=range(len(rows)))
    return score(
        settings,
        spec,
        registry.require_champion(settings, spec),
        features.training_set(settings, spec, frame),
    )


def _instants(path: Path, column: pd.Series) -> pd.Series:
    """Read instants with their zones as UTC; one without a zone is an error, as nobody knows what it means."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return cast(pd.Series, column.dt.tz_convert("UTC").dt.as_unit("us"))
    text = column.astype(str)
    wrong = text[~text.str.contains(ZONE)]
    if len(wrong):
        raise StackError(
            f"{path}, column {column.name}",
            found=f"{len(wrong)} of {len(text)} values without a zone, like {wrong.iloc[0]!r}",
            expected="instants with a zone, like 2013-03-01T08:00:00-05:00",
            todo="add the zone",
        )
    return cast(pd.Series, pd.to_datetime(text, utc=True, format="ISO8601").dt.as_unit("us"))
