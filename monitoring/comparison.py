"""A window compared with the champion's training reference: what the monitored metrics are computed from."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pandas import DataFrame

from monitoring import significance
from monitoring.estimates import Estimate
from monitoring.frames import Outcomes
from monitoring.rules import LEAST_ROWS
from stack.kit.drift import Sample
from stack.serving import intervals
from stack.serving.observed import NEW_ROWS, has_time
from stack.specification import class_sets, tasks
from stack.specification.sections import Monitoring
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import labelled, measure

if TYPE_CHECKING:
    from evidently.core.report import Snapshot

SIGNIFICANCE = "significance"
"""The method of windows that have fewer rows than `min_rows`: its score is a p-value."""
CERTAIN_ROWS = 1000
"""From so many rows on, chance explains no score beyond a usual threshold."""
SMALL = 0.1
"""Standard deviations by which predictions may move: those of the reference are of the model before its refit."""
CATEGORY_METHODS = {
    **{"psi": "psi", "jensenshannon": "jensenshannon", "wasserstein": "jensenshannon", "ks": "chisquare"},
    SIGNIFICANCE: SIGNIFICANCE,
}
"""What compares a category column; Kolmogorov-Smirnov and Wasserstein are defined for numbers only."""
P_VALUE_METHODS = {"ks", SIGNIFICANCE}
"""Methods whose score is a p-value: the column drifts below the threshold."""


@dataclass(frozen=True)
class WindowComparison:
    """Window and reference as typed frames, and the drift scores of the columns once Evidently has run.

    ``scores`` is empty where too few rows are new to the champion. A column that lost all its values has the score
    infinity.
    """

    spec: ProjectSpec
    reference: DataFrame
    current: DataFrame
    outcomes: Outcomes = Outcomes()
    scores: Mapping[str, float] = field(default_factory=dict)
    excused: frozenset[str] = frozenset()
    """Columns whose score is beyond the threshold, and which do not drift."""
    snapshot: Snapshot | None = None
    estimate: Estimate | None = None
    """Of the loss, where labels are not known yet."""

    @property
    def policy(self) -> Monitoring:
        """Section ``monitoring`` of project.yaml."""
        return self.spec.monitoring

    @property
    def outputs(self) -> tuple[str, ...]:
        """Columns of the predictions."""
        return tuple(tasks.of(self.spec).outputs)

    @property
    def new(self) -> int:
        """Number of rows that the champion has not been trained on."""
        return int(self.current.attrs.get("new", len(self.current)))

    @property
    def enough(self) -> bool:
        """Whether the window has rows enough for a difference to mean something."""
        return self.new >= LEAST_ROWS

    @property
    def few(self) -> bool:
        """Whether the method of project.yaml needs more rows, so that a test of significance takes its place."""
        return self.new < self.policy.min_rows

    @property
    def method(self) -> str:
        """How a column is compared with the reference."""
        return SIGNIFICANCE if self.few else self.policy.method

    @property
    def threshold(self) -> float:
        """Value of the method beyond which a column drifts; of p-values, corrected for the number of columns."""
        columns = len(self.spec.features.columns) + len(self.outputs)
        return significance.LEVEL / columns if self.few else self.policy.threshold

    @property
    def by_share(self) -> bool:
        """Whether a share of drifting columns gives notice, and not each: seasons may explain a few."""
        return self.enough and not self.few and has_time(self.spec)

    @property
    def sample(self) -> Sample:
        """The drift of the rows as of one origin."""
        origin = self.current.attrs.get("origin", "rows")
        return Sample(origin, self.new, self.drifted if self.enough else None, len(self.drift))

    @cached_property
    def judged(self) -> int:
        """Number of labelled predictions."""
        return len(labelled(self.current, list(self.outputs), self.spec.label))

    @cached_property
    def performance(self) -> dict[str, float | None] | None:
        """The scores of the labelled predictions; None where they are too few for any."""
        return measure(self.spec, self.current) if self.judged >= LEAST_ROWS else None

    @cached_property
    def coverage(self) -> float | None:
        """The share of the outcomes inside their intervals, or sets of classes; None without, or of too few."""
        task, label = tasks.of(self.spec), self.spec.label
        rows = labelled(self.current, [*task.outputs, *task.ends], label)
        if not task.ends or len(rows) < LEAST_ROWS:
            return None
        if not task.numeric:
            return class_sets.coverage(rows[label], rows[[*task.outputs]], rows[tasks.CORRECTION])
        return intervals.coverage(rows[label], rows[[*task.ends]])

    @cached_property
    def set_size(self) -> float | None:
        """The mean number of classes in the sets of the answers; None without sets."""
        task = tasks.of(self.spec)
        if task.numeric or not task.ends or not {*task.ends} <= {*self.current}:
            return None
        rows = self.current.dropna(subset=[*task.outputs, *task.ends])
        sizes = class_sets.members(rows[[*task.outputs]], rows[tasks.CORRECTION]).sum(axis=1)
        return float(sizes.mean()) if len(rows) else None

    @cached_property
    def lost(self) -> tuple[str, ...]:
        """Feature columns that miss more values than the reference by `max_missing_rise`, or all of them."""
        if not self.enough:
            return ()
        columns = list(self.spec.features.columns)
        missing, before = self.current[columns].isna(), self.reference[columns].isna()
        limit = (4 * significance.missing_rise_error(self.reference[columns], self.current[columns])).clip(
            lower=self.policy.max_missing_rise
        )
        return tuple(limit.index[(missing.mean() - before.mean() > limit) | (missing.all() & ~before.all())])

    @property
    def drift(self) -> dict[str, float]:
        """Score of each feature column that was compared."""
        return {column: score for column, score in self.scores.items() if column not in self.outputs}

    @property
    def drifted(self) -> tuple[str, ...]:
        """Feature columns that drift."""
        return tuple(column for column in self.drift if self.drifts(column))

    @property
    def prediction_drift(self) -> float | None:
        """Score of the output that drifts most; None without predictions."""
        worst = min if self.method in P_VALUE_METHODS else max
        return worst((self.scores[output] for output in self.outputs if output in self.scores), default=None)

    @property
    def predictions_drift(self) -> bool | None:
        """Whether an output drifts; None without predictions."""
        return None if self.prediction_drift is None else any(map(self.drifts, {*self.outputs} & {*self.scores}))

    def drifts(self, column: str) -> bool:
        """Whether a column drifts; one that lost its values does."""
        return self.beyond(self.scores[column]) and column not in self.excused

    def beyond(self, score: float) -> bool:
        """Whether a score of the method is beyond the threshold."""
        compare = operator.lt if self.method in P_VALUE_METHODS else operator.ge
        return bool(np.isinf(score)) or compare(score, self.threshold)

    def comparable(self, column: str) -> bool:
        """Whether both frames have values of the column; Evidently refuses an empty one."""
        return all(column in frame and bool(frame[column].notna().any()) for frame in (self.reference, self.current))


def excused(window: WindowComparison) -> WindowComparison:
    """Excuse columns beyond the threshold: of few rows by chance, or predictions of a refit that moved them little."""
    beyond = [column for column, score in window.scores.items() if np.isfinite(score) and window.beyond(score)]
    level = significance.LEVEL / max(len(window.scores), 1)
    certain = window.by_share and window.new >= CERTAIN_ROWS and window.current.attrs.get("origin") != NEW_ROWS

    def is_excused(column: str) -> bool:
        samples = window.reference[column], window.current[column]
        if column in window.outputs and not certain:
            return significance.p_value_beyond(*samples, SMALL) >= level
        return not window.few and window.new < CERTAIN_ROWS and significance.p_value(*samples) >= level

    return replace(window, excused=frozenset(filter(is_excused, beyond)))
