"""A window compared with the champion's training reference: what the monitored metrics are computed from."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from evidently import DataDefinition, Dataset, Report
from evidently.core.container import MetricOrContainer
from evidently.core.report import Snapshot
from pandas import DataFrame

from monitoring import _compat
from monitoring.frames import TIME, Outcomes
from stack.specification import tasks
from stack.specification.sections import Monitoring
from stack.specification.specs import ProjectSpec

MAX_ROWS = 100_000
"""Larger frames are sampled: Evidently takes about a second for each 10,000 rows of 30 columns."""
CATEGORY_METHODS = {"psi": "psi", "jensenshannon": "jensenshannon", "wasserstein": "jensenshannon", "ks": "chisquare"}
"""What compares a category column; Kolmogorov-Smirnov and Wasserstein are defined for numbers only."""
P_VALUE_METHODS = {"ks"}
"""Methods whose score is a p-value: the column drifts below the threshold."""


@dataclass(frozen=True)
class WindowComparison:
    """Window and reference as typed frames, and the drift scores of the columns once Evidently has run.

    ``scores`` is empty where the window has fewer than `min_rows` rows. A column that lost all its values has the
    score infinity.
    """

    spec: ProjectSpec
    reference: DataFrame
    current: DataFrame
    outcomes: Outcomes = Outcomes()
    scores: Mapping[str, float] = field(default_factory=dict)
    snapshot: Snapshot | None = None

    @property
    def policy(self) -> Monitoring:
        """Section ``monitoring`` of project.yaml."""
        return self.spec.monitoring

    @property
    def outputs(self) -> tuple[str, ...]:
        """Columns of the predictions."""
        return tuple(tasks.of(self.spec).outputs)

    @property
    def enough(self) -> bool:
        """Whether the window has rows enough for a drift score to mean something."""
        return len(self.current) >= self.policy.min_rows

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """Feature columns that miss more values than the reference by `max_missing_rise`, or all of them."""
        if not self.enough:
            return ()
        columns = list(self.spec.features.columns)
        current, reference = self.current[columns].isna(), self.reference[columns].isna()
        rises = current.mean() - reference.mean() > self.policy.max_missing_rise
        return tuple(rises.index[rises | (current.all() & ~reference.all())])

    @property
    def drift(self) -> dict[str, float]:
        """Score of each feature column that was compared."""
        return {column: score for column, score in self.scores.items() if column not in self.outputs}

    @property
    def drifted(self) -> tuple[str, ...]:
        """Feature columns that drift."""
        return tuple(column for column, score in self.drift.items() if self.drifts(score))

    @property
    def prediction_drift(self) -> float | None:
        """Score of the output that drifts most; None without predictions."""
        worst = min if self.policy.method in P_VALUE_METHODS else max
        return worst((self.scores[output] for output in self.outputs if output in self.scores), default=None)

    def drifts(self, score: float) -> bool:
        """Whether a column with this score of the policy's method drifts; one that lost its values does."""
        compare = operator.lt if self.policy.method in P_VALUE_METHODS else operator.ge
        return bool(np.isinf(score)) or compare(score, self.policy.threshold)

    def comparable(self, column: str) -> bool:
        """Whether both frames have values of the column; Evidently refuses an empty one."""
        return all(column in frame and bool(frame[column].notna().any()) for frame in (self.reference, self.current))


def compare(
    window: WindowComparison, metrics: Sequence[MetricOrContainer], *, at: datetime, name: str
) -> WindowComparison:
    """Run Evidently's metrics on the frames, of which none is empty."""
    current, reference = (_dataset(window.spec, frame) for frame in (window.current, window.reference))
    snapshot = Report(list(metrics)).run(current, reference, timestamp=at, name=name)
    scores = dict.fromkeys(window.lost, float("inf")) | _compat.drift_scores(snapshot)
    return replace(window, snapshot=snapshot, scores=scores if window.enough else {})


def _dataset(spec: ProjectSpec, frame: DataFrame) -> Dataset:
    if len(frame) > MAX_ROWS:
        frame = frame.sample(MAX_ROWS, random_state=spec.training.seed).sort_index()
    outputs = [output for output in tasks.of(spec).outputs if output in frame]
    definition = DataDefinition(
        numerical_columns=[*spec.column_types("number"), *outputs],
        categorical_columns=spec.column_types("category"),
        timestamp=TIME if TIME in frame else None,
    )
    return Dataset.from_pandas(frame, definition)
