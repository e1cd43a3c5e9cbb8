"""The kinds of prediction: the probability of an outcome, a probability for each of several classes, or a number.

To add a kind: a class, named in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from stack.core.errors import StackError
from stack.specification.classification import Binary, Multiclass
from stack.specification.task import (
    CLIP,
    CORRECTION,
    ENDS,
    OPTIONAL,
    SET,
    Fields,
    Task,
    as_array,
    as_column,
    largest,
    squares,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from stack.specification.specs import ProjectSpec

__all__ = [
    "CORRECTION",
    "ENDS",
    "KINDS",
    "SET",
    "Binary",
    "Forecast",
    "Multiclass",
    "Regression",
    "Task",
    "answering",
    "of",
    "suited",
]


class Regression(Task):
    """How much will it be? The answer is the expected value.

    ``r2`` is NaN for fewer than two rows.
    """

    name = "regression"
    numeric = True
    class_counts, class_rule = (0,), "none"
    measures: ClassVar[tuple[str, ...]] = ("rmse", "r2", "mae", "mse", "skill", "bias", "mean", "rows")
    headline: ClassVar[tuple[str, ...]] = ("rmse", "r2", "mae")
    skill_limits = {"skill": (0.0, None)}
    loss = squared_error = "mse"
    skill = "skill"
    plots = ("predicted", "residuals")
    outputs = ("prediction",)
    answer_dtypes = {"prediction": "float64"}
    outcome_type, outcome_example = float, 1.5
    outcomes = "a number"

    @classmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Ask for the value."""
        return f"How much is {label}?"

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes into floats, missing ones into NaN. StackError where an outcome is no number."""
        import pandas as pd

        encoded = pd.to_numeric(values, errors="coerce").astype("float64")
        unknown = values[encoded.isna() & values.notna()]
        if len(unknown):
            raise StackError(where, found=f"{unknown.iloc[0]!r} in {len(unknown)} rows", expected="numbers")
        return encoded

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the predicted value, (n, 1)."""
        return as_array(as_array(pipeline.predict(features)).reshape(-1, 1) + self.offsets(features))

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the squared error of each row."""
        return squares(as_array(answer).reshape(-1, 1), self.targets(label))

    def own_metrics(self, label: np.ndarray, answer: np.ndarray) -> dict[str, float]:
        """Return ``rmse``, ``r2``, ``mae`` and ``mean`` (of the outcomes)."""
        from sklearn.metrics import mean_absolute_error, r2_score

        return {
            "rmse": squares(answer, self.targets(label)).mean() ** 0.5,
            "r2": r2_score(label, answer) if len(label) > 1 else float("nan"),
            "mae": mean_absolute_error(label, answer),
            "mean": label.mean(),
        }

    def difference(self, answer: Any, expected: Any) -> float:
        """Return the difference as a share of the largest expected value."""
        return super().difference(answer, expected) / max(largest(as_array(expected)), CLIP)

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``prediction``; with an interval ``low``, ``high`` and the ``correction`` in both, too."""
        return dict(zip((*self.outputs, *ENDS, CORRECTION), map(float, answer), strict=False))

    def frame(self, answers: np.ndarray, threshold: float) -> dict[str, Any]:
        """Return ``prediction`` of answers (n, outputs), and the ends of intervals: NaN where there are none."""
        import numpy as np

        given = dict(zip((*self.outputs, *ENDS), answers.T, strict=False))
        return {name: given.get(name, np.full(len(answers), np.nan)) for name in self.answer_columns}

    def reply_fields(self, label: str) -> Fields:
        """Describe ``prediction``, and the ends of its interval."""
        text = "end of the interval around the prediction; absent where the version that answers has none"
        ends = {name: (float | None, {**OPTIONAL, "description": f"{name.title()} {text}"}) for name in self.ends}
        return {"prediction": (float, {"description": f"Predicted value of {label}"}), **ends}


class Forecast(Regression):
    """How much will it be at each of the next steps? The answer is the expected value of one of them."""

    name = "forecast"
    measures = ("mae", "rmse", "mse", "skill", "bias", "mean", "rows")
    headline = ("mae", "rmse")
    loss = "mae"
    squared_error = "mse"

    @classmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Ask for the next values."""
        return f"How much will {label} be?"

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the absolute error of each row."""
        return as_array(abs(as_column(answer) - as_column(label)))


KINDS: dict[str, type[Task]] = {kind.name: kind for kind in (Binary, Multiclass, Regression, Forecast)}
"""Name in project.yaml -> the class."""


def of(spec: ProjectSpec) -> Task:
    """Return the task of a project."""
    task = KINDS[spec.task](spec.classes)
    task.offset, task.calibration = spec.features.offset, spec.calibration
    if spec.interval:
        task.ends = ENDS if task.numeric else (CORRECTION,)
        added = dict.fromkeys(ENDS, "float64") if task.numeric else {SET: "object"}
        task.answer_dtypes = {**task.answer_dtypes, **added}
    return task


def answering(name: str, outputs: Sequence[str]) -> Task:
    """Return the task of a served model from the columns of its answers."""
    return KINDS[name].answering(outputs)


def suited(values: int) -> str:
    """Return the name of the classification that takes so many classes."""
    return next(name for name, kind in KINDS.items() if not kind.numeric and values in kind.class_counts)
