"""A kind of prediction, and what all kinds share.

Inside, an outcome is a float: 0 or 1, the position of its class, or the value itself; it is encoded once, where a
frame of labelled events is made. A model's answer is an array (rows, outputs); in a frame it has one column an output.

A task is asked for by processes that measure nothing, as the portal and packaged models: NumPy, pandas and
scikit-learn are imported by the methods that need them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from stack.core.errors import StackError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Limits = Mapping[str, tuple[float | None, float | None]]
"""Metric -> [least, most]."""
CLIP = 1e-15


class Task(ABC):
    """One kind of prediction.

    Args:
        classes: what the source names the outcomes of a classification, in the order of their positions.
    """

    name: ClassVar[str]
    numeric: ClassVar[bool] = False
    """Whether the outcome is a number, which a regressor predicts, and no class."""
    class_counts: ClassVar[Collection[int]]
    """How many classes project.yaml may name."""
    class_rule: ClassVar[str]
    """The same in words."""
    has_mean: ClassVar[bool] = True
    """Whether the mean of encoded outcomes says something, so that a key's past outcomes make a feature."""
    headline: ClassVar[tuple[str, ...]]
    """Metrics that people compare models by, the most telling first."""
    smaller_is_better: ClassVar[frozenset[str]] = frozenset({"log_loss", "brier", "rmse", "mae", "mse"})
    """Metrics that fall as a model improves; the others rise, but for a bias, which is best at 0."""
    skill_limits: ClassVar[Limits]
    """Limits of the gate for a project that names none for these metrics."""
    loss: ClassVar[str]
    """Name of the mean of :meth:`losses`."""
    plots: ClassVar[tuple[str, ...]] = ()
    """Plots of an evaluation, among those of :mod:`stack.training.evaluation`."""
    outputs: tuple[str, ...]
    """Numbers of an answer: their columns in a frame."""
    answer_dtypes: Mapping[str, str]
    """All columns of an answer in a frame, and their dtypes."""
    outcome_type: Any
    """The type of an outcome in a pydantic model of strict types."""
    outcome_example: Any

    def __init__(self, classes: Sequence[Any] = ()) -> None:
        self.classes: tuple[Any, ...] = tuple(classes)

    @classmethod
    def answering(cls, outputs: Sequence[str]) -> Self:
        """Return the task whose answers have these columns."""
        return cls()

    @classmethod
    @abstractmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Return the question that a project with this label answers."""

    @property
    def outcomes(self) -> str:
        """What an outcome may be, in words."""
        return f"one of {', '.join(map(repr, self.classes))}"

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes as the source gives them into floats; a missing one stays missing.

        Raises:
            StackError: an outcome is none that project.yaml knows; `where` names the data.
        """
        positions = {one: float(at) for at, one in enumerate(self.classes)}  # 1, 1.0 and True are the same class
        encoded = values.astype(object).map(positions.get).astype("float64")
        unknown = values[encoded.isna() & values.notna()]
        if len(unknown):
            raise StackError(
                where,
                found=f"{', '.join(map(repr, unknown.unique()[:3]))} in {len(unknown)} rows",
                expected=self.outcomes,
                todo="correct the data, or the key classes of project.yaml",
            )
        return encoded

    @abstractmethod
    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Answer with a fitted scikit-learn pipeline, float64 (n, outputs)."""

    @abstractmethod
    def baseline(self, label: Any) -> np.ndarray:
        """Return the constant answer (outputs,) that fits encoded outcomes best, without any feature."""

    @abstractmethod
    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the loss of each row, (n,), from encoded outcomes (n,) and answers (n, outputs)."""

    @abstractmethod
    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Measure answers (n, outputs) against encoded outcomes (n,); skill is measured against `baseline`."""

    def difference(self, answer: Any, expected: Any) -> float:
        """Return how far answers (n, outputs) are from what they should be, at most."""
        return largest(as_array(answer) - as_array(expected))

    @abstractmethod
    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return one row's answer (outputs,) as a caller gets it."""

    def columns(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reply as a row of a frame, with the columns of :attr:`answer_dtypes`."""
        return dict(reply)

    @abstractmethod
    def reply_fields(self, label: str) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Describe :meth:`reply`: field -> its type, and arguments of :func:`pydantic.Field`."""


def as_array(values: Any) -> np.ndarray:
    """Return values as an array of floats."""
    import numpy as np

    return np.asarray(values, dtype=float)


def as_column(values: Any) -> np.ndarray:
    """Return values as floats, (n,)."""
    return as_array(values).reshape(-1)


def largest(values: np.ndarray) -> float:
    """Return the largest magnitude; 0 of none."""
    return float(abs(values).max(initial=0))


def skill(error: float, baseline: float) -> float:
    """Return the share of the baseline's error that is gone."""
    return 1 - error / baseline if baseline else float("nan")
