"""Evidently's part of a report: drift of each column by the method that project.yaml names, quality, performance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from evidently import DataDefinition, Dataset, Report
from evidently.core.container import MetricOrContainer
from evidently.core.report import Snapshot
from evidently.metrics import MeanValue, RowCount, ValueDrift
from pandas import DataFrame

from monitoring.frames import TIME, oldest_features
from monitoring.metrics import DriftTable, FeatureAge, LabelledScore, MissingPercent
from stack.specification import tasks
from stack.specification.specs import Monitoring, ProjectSpec
from stack.training.performance import measure, scores

MAX_ROWS = 100_000
"""Larger frames are sampled: Evidently takes about a second for each 10,000 rows of 30 columns."""
CATEGORY_METHODS = {"psi": "psi", "jensenshannon": "jensenshannon", "wasserstein": "jensenshannon", "ks": "chisquare"}
"""What compares a category column; Kolmogorov-Smirnov and Wasserstein are defined for numbers only."""
P_VALUE_METHODS = {"ks"}
"""Methods whose score is a p-value: the column drifts below the threshold."""


@dataclass(frozen=True)
class Comparison:
    """Drift scores of a window against the reference, and the Evidently snapshot that shows them.

    ``drift`` is empty, and ``drift_share`` None, where the rows were too few to say. A column that lost all its
    values has the score infinity.
    """

    snapshot: Snapshot | None = None
    drift: Mapping[str, float] = field(default_factory=dict)
    drifted: tuple[str, ...] = ()
    predictions: Mapping[str, float] = field(default_factory=dict)
    """Score of each output of the answers."""

    @property
    def drift_share(self) -> float | None:
        """Share of the compared feature columns that drift."""
        return len(self.drifted) / len(self.drift) if self.drift else None

    def prediction_drift(self, policy: Monitoring) -> float | None:
        """Score of the output that drifts most; None without answers."""
        worst = min if policy.method in P_VALUE_METHODS else max
        return worst(self.predictions.values(), default=None)


def compare(
    spec: ProjectSpec, reference: DataFrame, current: DataFrame, lost: tuple[str, ...], *, at: datetime, name: str
) -> Comparison:
    """Run Evidently on typed frames; fewer than `min_rows` rows get quality and performance, and no drift."""
    if not len(current):
        return Comparison()
    enough = len(current) >= spec.monitoring.min_rows
    metrics = [*_quality(spec, reference, current), *_performance(spec, reference, current)]
    if enough:
        metrics = [*_drift(spec, reference, current), *metrics]
    snapshot = Report(metrics).run(_dataset(spec, current), _dataset(spec, reference), timestamp=at, name=name)
    if not enough:
        return Comparison(snapshot)
    found = dict.fromkeys(lost, float("inf")) | _scores(snapshot)
    predictions = {output: found.pop(output) for output in tasks.of(spec).outputs if output in found}
    drifted = tuple(column for column, score in found.items() if drifts(spec.monitoring, score))
    return Comparison(snapshot, found, drifted, predictions)


def drifts(policy: Monitoring, score: float) -> bool:
    """Whether a column with this score of the policy's method drifts; one that lost its values does."""
    if np.isinf(score):
        return True
    return score < policy.threshold if policy.method in P_VALUE_METHODS else score >= policy.threshold


def _comparable(reference: DataFrame, current: DataFrame, column: str) -> bool:
    """Whether both frames have values of the column; Evidently refuses an empty one."""
    return all(column in frame and bool(frame[column].notna().any()) for frame in (reference, current))


def _drift(spec: ProjectSpec, reference: DataFrame, current: DataFrame) -> list[MetricOrContainer]:
    policy = spec.monitoring
    columns = [column for column in spec.features.columns if _comparable(reference, current, column)]
    features = DriftTable(
        columns=columns,
        drift_share=policy.max_drift_share,
        num_method=policy.method,
        cat_method=CATEGORY_METHODS[policy.method],
        threshold=policy.threshold,
    )
    outputs = [output for output in tasks.of(spec).outputs if _comparable(reference, current, output)]
    predictions = [ValueDrift(column=output, method=policy.method, threshold=policy.threshold) for output in outputs]
    return [*([features] if columns else []), *predictions]


def _quality(spec: ProjectSpec, reference: DataFrame, current: DataFrame) -> list[MetricOrContainer]:
    metrics: list[MetricOrContainer] = [RowCount(), MissingPercent(columns=list(spec.features.columns))]
    age = oldest_features(current)
    if age is not None:
        metrics.append(FeatureAge(minutes=age))
    outputs = [output for output in tasks.of(spec).outputs if _comparable(reference, current, output)]
    return [*metrics, *(MeanValue(column=output) for output in outputs)]


def _performance(spec: ProjectSpec, reference: DataFrame, current: DataFrame) -> list[MetricOrContainer]:
    found, before = measure(spec, current) or {}, measure(spec, reference) or {}
    columns = {"outputs": list(tasks.of(spec).outputs), "label": spec.label}
    return [
        LabelledScore(score=score, current=found[score], reference=before.get(score), **columns)
        for score in scores(spec)
        if found.get(score) is not None
    ]


def _dataset(spec: ProjectSpec, frame: DataFrame) -> Dataset:
    if len(frame) > MAX_ROWS:
        frame = frame.sample(MAX_ROWS, random_state=spec.training.seed).sort_index()
    outputs = tasks.of(spec).outputs
    definition = DataDefinition(
        numerical_columns=[*spec.column_types("number"), *(one for one in outputs if one in frame)],
        categorical_columns=spec.column_types("category"),
        timestamp=TIME if TIME in frame else None,
    )
    return Dataset.from_pandas(frame, definition)


def _scores(snapshot: Snapshot) -> dict[str, float]:
    """The drift score of each compared column, predictions included."""
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in snapshot.dict()["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }
