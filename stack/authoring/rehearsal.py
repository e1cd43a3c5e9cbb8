"""Try out a new project before anybody relies on it: its checks, its features, a quick model and one prediction.

All of it runs in a temporary home, on a few thousand rows and without MLflow and the lake, which no project changes.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stack.authoring import check
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings, settings
from stack.project import Project
from stack.specification import specs, tasks

if TYPE_CHECKING:
    from stack.specification.specs import ProjectSpec
    from stack.training.evaluation import Scorer
    from stack.training.splits import Split

ROWS = 5000
"""Rows that are tried, the latest ones; all of them where the project has checks of its own."""
RARE = 20
"""Rows of an outcome that the latest rows lack which are tried with them."""
ENOUGH = timedelta(days=28)
"""Time that the rows cover, where the table does."""
FEW = 50
"""Fewer held-out rows decide nothing."""


@dataclass(frozen=True)
class Outcome:
    """What a quick model is worth on rows that it has not seen."""

    metric: str
    model: float
    low: float
    high: float
    """Where nine of ten resamples of the held-out rows have the metric."""
    naive: float
    """Of the best answer that needs no model ..."""
    without: str
    """... and what it is."""
    rows: int
    """Held out."""
    answer: dict[str, float]

    def __str__(self) -> str:
        span = f"{self.low:.4g} to {self.high:.4g}"
        few = "; so few rows decide nothing" if self.rows < FEW else ""
        answer = ", ".join(f"{name} {value:.4g}" for name, value in self.answer.items())
        return (
            f"on {self.rows:,} held-out rows a quick model has {self.metric} {self.model:.4g} ({span}), "
            f"{self.without} {self.naive:.4g}{few}\none prediction: {answer}"
        )


def run(name: str, now: datetime, report: Reporter, *, every_row: bool = True) -> Outcome:
    """Try out a project; its first error is a `StackError` that names the place.

    Args:
        now: end of the rows of a project on the wall clock.
        report: called with a line about each step.
        every_row: refuse a row for quarantine, as of a project that is written from these rows.
    """
    report("check: project.yaml and its rows")
    tables: dict[str, pd.DataFrame] = {}
    for finding in check.findings(name, now, tables):
        raise finding
    spec = specs.load(name)
    try:
        with TemporaryDirectory() as home:
            own = Settings(home=Path(home), workspace=settings().workspace)
            return _run(Project(own, spec), now, report, every_row, tables)
    except StackError:
        raise
    except Exception as error:
        lines = [
            f"{file}, line {line}"
            for file, line, *_ in traceback.extract_tb(error.__traceback__)
            if Path(file).is_relative_to(spec.folder)
        ]
        raise StackError(
            lines[-1] if lines else str(spec.folder),
            found=f"{type(error).__name__}: {' '.join(str(error).split())[:500]}",
            expected="a project that runs",
            todo="fix the line, or leave the column out of the table",
        ) from error


def _run(
    project: Project,
    now: datetime,
    report: Reporter,
    every_row: bool,
    read: dict[str, pd.DataFrame],
) -> Outcome:
    from stack.features import datasets, feature_tables, features
    from stack.training import splits
    from stack.validation import validation

    spec, since, until = project.spec, project.spec.clock.start, project.spec.clock.first_now or now
    tables = dict(read or project.source.fetch(since, until))
    read.clear()  # of many rows, few are looked at from here on
    if not spec.has("checks"):  # those that a person has written may count the rows of a day
        tables = {name: _latest(spec, frame, spec.tables[name].available_at) for name, frame in tables.items()}
    for name, table in spec.tables.items():
        if table.snapshot:
            known_at = pd.Timestamp(until).tz_convert("UTC").as_unit("us")
            tables[name] = tables[name].assign(**{table.available_at: known_at})
    report(f"ingest: {sum(map(len, tables.values())):,} rows against the checks")
    result = validation.validate(project, tables, {}, since, until)
    if not result.accepted or (every_row and result.quarantined_rows):
        found = "; ".join(result.failures or result.warnings)
        todo = "correct the expectation, or the rows in the file"
        place = spec.folder / ("checks.py" if spec.has("checks") else "project.yaml")
        raise StackError(str(place), found=found, expected="all rows of the file", todo=todo)
    for warning in result.warnings:
        report(f"warning: {warning}")
    tables = result.tables
    report(f"features: {len(spec.features.columns)} columns through Feast")
    features.apply_alone(project)
    first = min(frame[spec.tables[name].available_at].min() for name, frame in tables.items()).to_pydatetime()
    # The past of the last hour is known after it, which may be after the last row.
    window = first - timedelta(days=1), until + timedelta(days=1)
    for view, frame in project.features.build(tables, *window).items():
        feature_tables.replace(feature_tables.folder(project) / view, frame, *window)
    rows = features.training_set(project, datasets.answered(spec, tables, until))
    report("train: a gradient boosting, and one prediction of its served form")
    return _model(project, splits.holdout(spec, rows, until))


def _latest(spec: ProjectSpec, frame: pd.DataFrame, known: str) -> pd.DataFrame:
    """Return the latest rows; some of them where so many come in a few days, or of a table without time.

    Args:
        known: column with the instant at which a row is known; a table without time has none.
    """
    if len(frame) <= ROWS:
        return frame
    latest = frame
    if known in frame:
        since = frame[known].max() - min(ENOUGH, spec.training.holdout / spec.training.holdout_share)
        latest = frame.tail(ROWS) if frame[known].iloc[-ROWS] < since else frame[frame[known] > since]
    looked_at = latest if len(latest) <= ROWS else latest.sample(ROWS, random_state=0)
    if tasks.of(spec).classes and spec.label in frame:  # a rare class is learnt from the rows that there are
        absent = frame[~frame[spec.label].isin(looked_at[spec.label])]
        looked_at = pd.concat([looked_at, absent.groupby(spec.label).head(RARE)])
    return looked_at.sort_index()


def _model(project: Project, split: Split) -> Outcome:
    from stack.promotion import naive
    from stack.training import candidates
    from stack.training.evaluation import Scorer, answered, intervals
    from stack.training.export import export

    spec, task = project.spec, tasks.of(project.spec)
    scorer, known = Scorer.of(spec), candidates.available(spec, len(split.fit))
    name = next((name for name in known if known[name].space), next(iter(known)))
    pipeline = candidates.fit(spec, name, dict(known[name].initial_params), split.fit)
    label = split.test[spec.label].to_numpy()
    baseline = task.baseline(split.fit[spec.label])
    answer, constant = task.predict(pipeline, candidates.frame(spec, split.test)), np.tile(baseline, (len(label), 1))
    metric, rows = _metric(scorer, label, answer, baseline), answered(spec, split.test, answer)
    low, high = intervals(spec, rows, baseline)[metric]
    best = [(other.name, other.error) for other in naive.compare(spec, rows)]
    best += [("a constant answer", scorer.metrics(label, constant, baseline)[metric])]
    with TemporaryDirectory() as folder:
        served = export(pipeline, spec, Path(folder), split.fit.head(200))
        one = split.test.tail(1)
        predicted = served.predict({column: one[column] for column in spec.features.columns})
    return Outcome(
        metric,
        scorer.metrics(label, answer, baseline)[metric],
        low,
        high,
        best[0][1],
        best[0][0],
        len(label),
        dict(zip(task.outputs, map(float, predicted[0]), strict=True)),
    )


def _metric(scorer: Scorer, label: np.ndarray, answer: np.ndarray, baseline: np.ndarray) -> str:
    """Return the first headline metric that is defined on these rows."""
    metrics = scorer.metrics(label, answer, baseline)
    return next((name for name in scorer.headline if np.isfinite(metrics[name])), scorer.objective)
