"""The base class of all kinds of prediction.

An encoded outcome is a float: 0 or 1, the position of its class, or the value itself; it is encoded once, where a frame
of labelled events is built. An answer is an array (rows, outputs); in a frame it has a column an output.

Processes that measure nothing, as the portal and packaged models, use tasks too: NumPy, pandas and scikit-learn are
imported by the methods that need them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from stack.core.errors import StackError
from stack.specification.calibration import Points

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from stack.specification.specs import ProjectSpec

Limits = Mapping[str, tuple[float | None, float | None]]
"""Metric -> [least, most]."""
Fields = dict[str, tuple[Any, dict[str, Any]]]
"""Field of a reply -> its type, and arguments of :func:`pydantic.Field`."""
CLIP = 1e-15
ENDS, CORRECTION = ("low", "high"), "correction"
"""The interval of an answer, and what the newest errors have added to both of its ends."""
OPTIONAL: dict[str, Any] = {"default": None, "exclude_if": lambda value: value is None}
"""Arguments of a field that a reply may lack."""
SET = "classes"
"""The classes that an answer of several classes may mean."""


class Task(ABC):
    """A kind of prediction.

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
    """Whether encoded outcomes have a meaningful mean, so that a key's past outcomes make a feature."""
    measures: ClassVar[tuple[str, ...]]
    """Names of the metrics, in the order in which they are listed."""
    headline: ClassVar[tuple[str, ...]]
    """Metrics that people compare models by, the most important first."""
    smaller_is_better: ClassVar[frozenset[str]] = frozenset({"log_loss", "brier", "rmse", "mae", "mse", "cost"})
    """Metrics that fall as a model improves; the others rise, but for a bias, which is best at 0."""
    skill_limits: ClassVar[Limits]
    """Limits of the gate for a project that names none for these metrics."""
    loss: ClassVar[str]
    """Name of the mean of :meth:`losses`."""
    squared_error, skill = "brier", "brier_skill"
    """Names of the mean squared error, and of the share of the baseline's that is gone."""
    plots: ClassVar[tuple[str, ...]] = ()
    """Plots of an evaluation, among those of :mod:`stack.training.evaluation`."""
    outputs: tuple[str, ...]
    """Numbers of an answer: their columns in a frame."""
    answer_dtypes: Mapping[str, str]
    """All columns of an answer in a frame, and their dtypes."""
    outcome_type: Any
    """The type of an outcome in a pydantic model of strict types."""
    outcome_example: Any
    calibration: Points = ()
    """Binary: the calibration of the answers of a pipeline."""
    ends: tuple[str, ...] = ()
    """Numbers that say how far an answer's interval goes, where the project has them: low and high, or of a set of
    classes the correction."""
    offset: str = ""
    """Feature column that the answer of a pipeline is added to."""

    def __init__(self, classes: Sequence[Any] = ()) -> None:
        self.classes: tuple[Any, ...] = tuple(classes)

    @classmethod
    def answering(cls, outputs: Sequence[str]) -> Self:
        """Return the task whose answers have these columns."""
        return cls()

    @classmethod
    def problems(cls, spec: ProjectSpec) -> Iterator[str]:
        """Yield the keys of a specification that do not fit this kind."""
        for key, value in {"costs": spec.costs, "training.calibrate": spec.training.calibrate}.items():
            if value and cls.name != "binary":
                yield f"{key}: of a binary task alone, this is a {cls.name} task"
        if spec.interval and cls.name == "binary":
            yield "interval: of a regression, a forecast or several classes, this is a binary task"
        names = {*ENDS, CORRECTION} if cls.numeric else {SET, CORRECTION}
        if spec.interval and (taken := {spec.label, *spec.request, *spec.features.columns} & names):
            yield f"interval: answers have {min(taken)!r} then; rename the column of this name"

    @classmethod
    @abstractmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Return the question that a project with this label answers."""

    @property
    def answer_columns(self) -> list[str]:
        """All columns of an answer in a frame, with those of its interval."""
        return list(dict.fromkeys([*self.answer_dtypes, *self.ends]))

    @property
    def outcomes(self) -> str:
        """What an outcome may be, in words."""
        return f"one of {', '.join(map(repr, self.classes))}"

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes of the source into floats; a missing outcome stays missing.

        An unknown outcome is a StackError; `where` names the data.
        """
        positions = {name: float(at) for at, name in enumerate(self.classes)}  # 1, 1.0 and True are the same class
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

    def targets(self, label: Any) -> np.ndarray:
        """Return the perfect answers (n, outputs) for encoded outcomes (n,)."""
        return as_array(label).reshape(-1, 1)

    @abstractmethod
    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Answer with a fitted scikit-learn pipeline, float64 (n, outputs)."""

    def offsets(self, features: Any) -> Any:
        """Return what is added to the answers of a pipeline, (n, 1); 0 where it is missing, or there is none."""
        import numpy as np

        return np.nan_to_num(as_array(features[self.offset])).reshape(-1, 1) if self.offset else 0.0

    def baseline(self, label: Any) -> np.ndarray:
        """Return the constant answer (outputs,) that fits encoded outcomes best, without any feature."""
        return as_array(self.targets(label).mean(axis=0))

    @abstractmethod
    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the loss of each row, (n,), from encoded outcomes (n,) and answers (n, outputs)."""

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Measure answers (n, outputs) against encoded outcomes (n,).

        Of every kind: the mean loss, the mean squared error, skill (1 - error / error of the baseline), bias (mean
        answer - mean outcome, of the output where it is largest) and ``rows``.
        """
        truth = self.targets(label)
        answer = as_array(answer).reshape(truth.shape)
        error, gaps = squares(answer, truth).mean(), answer.mean(axis=0) - truth.mean(axis=0)
        of_baseline = squares(as_array(baseline), truth).mean()
        values = self.own_metrics(as_column(label), answer) | {
            self.loss: self.losses(label, answer).mean(),
            self.squared_error: error,
            self.skill: 1 - error / of_baseline if of_baseline else float("nan"),
            "bias": gaps[abs(gaps).argmax()],
            "rows": len(truth),
        }
        return {name: float(values[name]) for name in self.measures if name in values}

    @abstractmethod
    def own_metrics(self, label: np.ndarray, answer: np.ndarray) -> dict[str, float]:
        """Return the metrics that other kinds do not have, from encoded outcomes (n,) and answers (n, outputs)."""

    def difference(self, answer: Any, expected: Any) -> float:
        """Return the largest difference between answers (n, outputs) and their expected values."""
        return largest(as_array(answer) - as_array(expected))

    @abstractmethod
    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return a row's answer (outputs,) as a caller gets it."""

    def columns(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reply as a row of a frame, with the columns of :attr:`answer_dtypes`; an absent interval is None."""
        return {**dict.fromkeys(self.ends), **reply}

    def frame(self, answers: np.ndarray, threshold: float) -> dict[str, Any]:
        """Return answers (n, outputs) as the columns of a frame, whose rows are :meth:`columns` of their replies."""
        rows = [self.columns(self.reply(answer, threshold)) for answer in answers.tolist()]
        return {name: [row[name] for row in rows] for name in self.answer_columns}

    @abstractmethod
    def reply_fields(self, label: str) -> Fields:
        """Describe the fields of :meth:`reply`."""


def as_array(values: Any) -> np.ndarray:
    """Return values as an array of floats."""
    import numpy as np

    return np.asarray(values, dtype=float)


def as_column(values: Any) -> np.ndarray:
    """Return values as floats, (n,)."""
    return as_array(values).reshape(-1)


def squares(answer: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the squared error of each row, (n,)."""
    return as_array(((answer - truth) ** 2).sum(axis=1))


def largest(values: np.ndarray) -> float:
    """Return the largest magnitude; 0 of none."""
    return float(abs(values).max(initial=0))
