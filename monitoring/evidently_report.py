"""A window compared with its reference by Evidently."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from evidently import DataDefinition, Dataset, Report
from evidently.core.container import MetricOrContainer
from pandas import DataFrame

from monitoring import _compat, drawings, metrics, significance
from monitoring.comparison import SIGNIFICANCE, WindowComparison, excused
from monitoring.frames import TIME
from stack.specification import tasks
from stack.specification.specs import ProjectSpec

MAX_ROWS = 100_000
"""Larger frames are sampled: Evidently takes about a second for each 10,000 rows of 30 columns."""


def every_metric(window: WindowComparison, *, at: datetime, name: str) -> WindowComparison:
    """Compare a window by every monitored metric."""
    parts = [part for metric in metrics.METRICS for part in drawings.report_metrics(metric, window)]
    return compare(window, parts, at=at, name=name)


def drift_alone(window: WindowComparison, *, at: datetime) -> WindowComparison:
    """Compare the feature columns of a window; one of too few rows stays as it is."""
    parts = drawings.drift_table(window)
    return compare(window, parts, at=at, name=str(at)) if parts else window


def compare(
    window: WindowComparison, metrics: Sequence[MetricOrContainer], *, at: datetime, name: str
) -> WindowComparison:
    """Run Evidently's metrics on the frames, of which none is empty."""
    _compat.register_test(SIGNIFICANCE, significance.p_value)
    current, reference = (_dataset(window.spec, frame) for frame in (window.current, window.reference))
    snapshot = Report(list(metrics)).run(current, reference, timestamp=at, name=name)
    scores = dict.fromkeys(window.lost, float("inf")) | _compat.drift_scores(snapshot)
    return excused(replace(window, snapshot=snapshot, scores=scores if window.enough else {}))


def _dataset(spec: ProjectSpec, frame: DataFrame) -> Dataset:
    if len(frame) > MAX_ROWS:
        frame = frame.sample(MAX_ROWS, random_state=spec.training.seed).sort_index()
    outputs = [output for output in tasks.of(spec).outputs if output in frame]
    definition = DataDefinition(
        numerical_columns=[*spec.column_types("number", "text"), *outputs],
        categorical_columns=spec.column_types("category"),
        timestamp=TIME if TIME in frame else None,
    )
    return Dataset.from_pandas(frame, definition)
