"""Batch scoring: predictions for many rows at once, with the features of each row's own instant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pandas as pd
from pandas import DataFrame

from stack.core.errors import StackError, nearest
from stack.core.settings import Settings
from stack.features import features
from stack.prediction_log import predictions
from stack.project import Project, contract
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import chunks
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.specification.specs import ProjectSpec, RequestField

ZONE = r"(?:Z|[+-]\d{2}:?\d{2})$"
TYPES = {"number": "float64", "integer": "int64", "boolean": "bool"}
"""Of request fields in a CSV file; all others are text."""


def score(project: Project, version: Version, frame: DataFrame) -> DataFrame:
    """Add a version's predictions to rows that hold the feature columns.

    Returns:
        `frame` with the columns of an answer (:func:`stack.prediction_log.predictions.answered`) and ``model_version``.
    """
    with loaded(project.settings, version) as model:
        return _answered(project.spec, version, model, frame)


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Score the requests of (since, until] with the champion."""
    requests = contract.request_source(project.name).requests(since, until)
    frame = features.training_set(project, requests.rename(columns={"asked_at": "event_timestamp"}))
    return score(project, project.registry.require_champion(), frame)


def file(project: Project, source: Path, target: Path, now: datetime, report: Callable[[str], object]) -> int:
    """Score the rows of a CSV or Parquet file that holds the request fields, however many there are.

    Args:
        source: the rows; a column ``asked_at`` gives the instant of each row's features.
        target: CSV or Parquet file for the rows with their features and predictions; whole, or not there.
        now: the instant of rows without a column ``asked_at``.
        report: called with the progress after each chunk.

    Returns:
        The number of rows.

    Raises:
        StackError: a request field is missing, a value is not of its type, or an instant has no zone.
    """
    types = {name: _type(field) for name, field in project.spec.request.items()}
    _events(project.spec, source, next(chunks.read(source, types))[0], now)  # most mistakes show before a model is read
    version = project.registry.require_champion()
    with loaded(project.settings, version) as model, chunks.writing(target) as writer:
        for rows, share in chunks.read(source, types):
            asked = _events(project.spec, source, rows, now).assign(
                event_id=range(writer.rows, writer.rows + len(rows))
            )
            writer.write(_answered(project.spec, version, model, features.training_set(project, asked)))
            report(f"{writer.rows:,} rows scored, {share:.0%}")
        return writer.rows


@contextmanager
def loaded(settings: Settings, version: Version) -> Iterator[ServedModel]:
    """Download and load a version's served form for the time of the context."""
    with TemporaryDirectory() as folder:
        artifacts.fetch(settings, version, Path(folder))
        yield ServedModel(Path(folder))


def _answered(spec: ProjectSpec, version: Version, model: ServedModel, frame: DataFrame) -> DataFrame:
    task, predicted = tasks.of(spec), model.predict({column: frame[column] for column in spec.features.columns})
    outputs = predicted.reshape(len(frame), len(task.outputs)).tolist()
    replies = [predictions.answered(task.reply(row, spec.threshold)) for row in outputs]
    answers = DataFrame(replies, columns=predictions.answer_columns(spec), index=frame.index)
    return pd.concat([frame, answers], axis=1).assign(model_version=version.version)


def _type(field: RequestField) -> Any:
    """Return the type of a request field in a CSV file; an integer that may be missing is a float in pandas."""
    return "float64" if field.type == "integer" and field.nullable else TYPES.get(field.type, str)


def _events(spec: ProjectSpec, path: Path, rows: DataFrame, now: datetime) -> DataFrame:
    """Check the request fields of rows of a file, and set each row's ``event_timestamp``."""
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
    return rows.assign(event_timestamp=asked)


def _instants(path: Path, column: pd.Series) -> pd.Series:
    """Read instants with their zones as UTC; one without a zone is ambiguous, and an error."""
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
