"""Batch scoring: predictions for many rows at once, with the features of each row's own instant."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from stack.core.errors import StackError, nearest
from stack.core.settings import Settings
from stack.features import features
from stack.project import Project, contract
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import chunks, corrections
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.specification.fields import Datetime
from stack.specification.specs import ProjectSpec


def score(project: Project, version: Version, frame: DataFrame) -> DataFrame:
    """Add a version's predictions to rows with feature columns: :attr:`Task.answer_dtypes` and ``model_version``."""
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
    spec = project.spec
    dtypes = {name: field.field_type.dtype_of_file(nullable=field.nullable) for name, field in spec.request.items()}
    # Most mistakes show before a model is needed.
    _events(spec, source, next(chunks.read(source, dtypes))[0], now)
    version = project.registry.require_champion()
    with loaded(project.settings, version) as model, chunks.writing(target) as writer:
        for rows, share in chunks.read(source, dtypes):
            ids = range(writer.rows, writer.rows + len(rows))
            events = _events(spec, source, rows, now).assign(event_id=ids)
            writer.write(_answered(spec, version, model, features.training_set(project, events)))
            report(f"{writer.rows:,} rows scored, {share:.0%}")
        return writer.rows


@contextmanager
def loaded(settings: Settings, version: Version) -> Iterator[ServedModel]:
    """Download and load a version's served form, with the newest correction, for the time of the context."""
    with artifacts.folder(settings, version, "served") as folder:
        model = ServedModel(folder)
        corrections.apply(settings, version.name, version.version, model)
        yield model


def _answered(spec: ProjectSpec, version: Version, model: ServedModel, frame: DataFrame) -> DataFrame:
    task = tasks.of(spec)
    rows = model.answer({column: frame[column] for column in spec.features.columns}).tolist()
    replies = [task.columns(task.reply(row, model.threshold)) for row in rows]
    answers = DataFrame(replies, columns=list(dict.fromkeys([*task.answer_dtypes, *task.ends])), index=frame.index)
    return pd.concat([frame, answers], axis=1).assign(model_version=version.version)


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
        rows[name] = field.field_type.from_file(rows[name], f"{path}, column {name}")
    if "asked_at" not in rows:
        return rows.assign(event_timestamp=pd.Timestamp(now).as_unit("us"))
    return rows.assign(event_timestamp=Datetime().from_file(rows.pop("asked_at"), f"{path}, column asked_at"))
