"""Batch scoring: predictions for many rows at once, with the features of each row's own instant."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

import pandas as pd
from pandas import DataFrame

from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.workers import Workers
from stack.features import features
from stack.project import Project, contract
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import chunks, corrections, remote
from stack.serving.rows import Rows, Scorer
from stack.serving.served import ServedModel


def score(project: Project, version: Version, frame: DataFrame) -> DataFrame:
    """Add a version's predictions to rows with feature columns: :attr:`Task.answer_dtypes` and ``model_version``."""
    with loaded(project.settings, version) as model:
        outputs = model.answer({column: frame[column] for column in project.spec.features.columns})
        answers = DataFrame(project.task.frame(outputs, model.threshold), index=frame.index)
    return pd.concat([frame, answers], axis=1).assign(model_version=version.version)


def window(project: Project, since: datetime, until: datetime) -> DataFrame:
    """Score the requests of (since, until] with the champion."""
    requests = contract.request_source(project.name).requests(since, until)
    frame = features.training_set(project, requests.rename(columns={"asked_at": "event_timestamp"}))
    return score(project, project.registry.require_champion(), frame)


def file(
    project: Project,
    source: Path,
    target: Path,
    now: datetime,
    report: Reporter,
    workers: Workers | None = None,
) -> int:
    """Score the rows of a file that holds the request fields, however many there are.

    A row's answer is the same to the last digit wherever its part is scored.

    Args:
        source: CSV or Parquet file, or a folder of Parquet files; a column ``asked_at`` gives the instant of each
            row's features.
        target: CSV or Parquet file for the rows with their features and predictions; whole, or not there.
        now: the instant of rows without a column ``asked_at``.
        report: called with the progress after each part.
        workers: score the parts of Parquet where they see source, target and feature tables; this thread does when
            omitted.

    Returns:
        The number of rows.

    Raises:
        StackError: a request field is missing, a value is not of its type, or an instant has no zone.
    """
    rows = Rows(project.spec, source, now)
    # Most mistakes show before a model is needed.
    rows.events(next(rows.read())[0])
    version = project.registry.require_champion()
    with loaded(project.settings, version) as model, chunks.writing(target) as writer:
        feast = features.store(project.settings)
        features.require_tables(project, feast)
        scorer = Scorer(rows, partial(features.joined, feast, project.spec), model, version.version)
        for table, share in remote.scored(scorer, version, project, target, workers, report):
            writer.write(table)
            report(f"{writer.rows:,} rows scored, {share:.0%}")
        return writer.rows


@contextmanager
def loaded(settings: Settings, version: Version) -> Iterator[ServedModel]:
    """Download and load a version's served form, with the newest correction, for the time of the context."""
    with artifacts.folder(settings, version, "served") as folder:
        model = ServedModel(folder)
        corrections.apply(settings, version.name, version.version, model)
        yield model
