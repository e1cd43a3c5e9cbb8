"""The kinds of prediction: the probability of an outcome, a probability for each of several classes, or a number.

To add a kind: a class, named in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from stack.core.errors import StackError
from stack.specification import calibration
from stack.specification.task import CLIP, CORRECTION, ENDS, Fields, Task, as_array, as_column, largest, squares

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from stack.specification.specs import ProjectSpec

__all__ = [
    "CORRECTION",
    "ENDS",
    "KINDS",
    "Binary",
    "Forecast",
    "Multiclass",
    "Regression",
    "Task",
    "answering",
    "of",
    "suited",
]

PREFIX = "probability_"
RARE = 0.1


class Binary(Task):
    """Will it happen? The answer is the probability that it does.

    ``auc`` is NaN with a single outcome; ``accuracy`` (at 0.5) is left out where an outcome is less than a tenth of the
    rows, as it is then as high for a constant answer.

    Args:
        classes: the negative outcome, then the positive outcome; 0 and 1 when left out.
    """

    name = "binary"
    class_counts, class_rule = (0, 2), "two classes, or none for 0 and 1"
    measures = ("auc", "brier", "log_loss", "brier_skill", "bias", "rate", "rows", "accuracy")
    headline = ("auc", "brier", "log_loss")
    skill_limits = {"auc": (0.5, None), "brier_skill": (0.0, None)}
    loss = "log_loss"
    plots = ("calibration", "roc")
    outputs = ("probability",)
    answer_dtypes = {"probability": "float64", "decision": "bool"}

    def __init__(self, classes: Sequence[Any] = ()) -> None:
        super().__init__(classes or (0, 1))
        self.outcome_type = Literal[*(classes or (0, 1, False, True))]
        self.outcome_example = self.classes[-1]

    @classmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Ask whether the outcome is positive."""
        return f"Is {label} {classes[1] if classes else 1}?"

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the probability of the positive outcome, (n, 1)."""
        return calibration.apply(self.calibration, pipeline.predict_proba(features)[:, 1:])

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the log-loss of each row."""
        import numpy as np

        y, p = as_column(label), as_column(answer).clip(CLIP, 1 - CLIP)
        return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)))

    def own_metrics(self, label: np.ndarray, answer: np.ndarray) -> dict[str, float]:
        """Return ``auc``, ``rate`` (of positive outcomes) and ``accuracy``."""
        from sklearn.metrics import roc_auc_score  # 50 MB that the prediction service, which measures nothing, saves

        rate, positive = label.mean(), answer[:, 0] >= 0.5
        accuracy = {"accuracy": (positive == (label == 1)).mean()} if RARE <= rate <= 1 - RARE else {}
        auc = roc_auc_score(label, answer[:, 0]) if 0 < rate < 1 else float("nan")
        return {"auc": auc, "rate": rate, **accuracy}

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``probability`` and ``decision``."""
        return {"probability": float(answer[0]), "decision": bool(answer[0] >= threshold)}

    def reply_fields(self, label: str) -> Fields:
        """Describe ``probability`` and ``decision``."""
        return {
            "probability": (float, {"ge": 0, "le": 1, "description": "Probability of the positive outcome"}),
            "decision": (bool, {"description": "Whether the probability reaches the project's threshold"}),
        }


class Multiclass(Task):
    """Which class is it? The answer is a probability for each, in the order of `classes`.

    ``auc`` is the mean of each class against the rest, NaN where a class is absent.
    """

    name = "multiclass"
    class_counts, class_rule = range(3, 1001), "three or more"
    has_mean = False
    measures = ("log_loss", "accuracy", "auc", "brier", "brier_skill", "bias", "rows")
    headline = ("log_loss", "accuracy", "auc")
    skill_limits = {"brier_skill": (0.0, None)}
    loss = "log_loss"
    plots = ("confusion",)

    def __init__(self, classes: Sequence[Any] = ()) -> None:
        super().__init__(classes)
        self.outputs = tuple(f"{PREFIX}{name}" for name in self.classes)
        self.answer_dtypes = dict.fromkeys(self.outputs, "float64") | {"decision": "object"}
        self.outcome_type, self.outcome_example = Literal[*self.classes], self.classes[-1]

    @classmethod
    def answering(cls, outputs: Sequence[str]) -> Self:
        """Return the task whose answers have these columns, a class each."""
        return cls([name.removeprefix(PREFIX) for name in outputs])

    @classmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Ask which class it is."""
        return f"Which {label} is it?"

    def targets(self, label: Any) -> np.ndarray:
        """Return 1 for the class of each row and 0 for the others, (n, classes)."""
        import numpy as np

        return np.asarray(np.eye(len(self.classes))[as_column(label).astype(int)])

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, (n, classes); 0 where the pipeline was not fitted on it."""
        import numpy as np

        answer = np.zeros((len(features), len(self.classes)))
        answer[:, np.asarray(pipeline.classes_, dtype=int)] = pipeline.predict_proba(features)
        return answer

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the log-loss of each row."""
        import numpy as np

        p = as_array(answer).clip(CLIP, 1)
        return np.asarray(-np.log(p[np.arange(len(p)), as_column(label).astype(int)]))

    def own_metrics(self, label: np.ndarray, answer: np.ndarray) -> dict[str, float]:
        """Return ``accuracy`` and ``auc``."""
        from sklearn.metrics import roc_auc_score

        truth = self.targets(label)
        auc = roc_auc_score(truth, answer, average="macro") if truth.any(axis=0).all() else float("nan")
        return {"accuracy": (answer.argmax(axis=1) == label).mean(), "auc": auc}

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``probabilities`` by class and ``decision``, the most probable class."""
        named = {str(name): float(value) for name, value in zip(self.classes, answer, strict=True)}
        return {"probabilities": named, "decision": max(named, key=named.__getitem__)}

    def columns(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reply as a row of a frame: a column a class, and ``decision``."""
        probabilities = {f"{PREFIX}{name}": value for name, value in reply["probabilities"].items()}
        return probabilities | {"decision": reply["decision"]}

    def reply_fields(self, label: str) -> Fields:
        """Describe ``probabilities`` and ``decision``."""
        classes = [str(name) for name in self.classes]
        even = {"example": dict.fromkeys(classes, round(1 / len(classes), 3))}
        text = f"Probability of each class: {', '.join(classes)}"
        decision = {"description": "The most probable class", "json_schema_extra": {"example": classes[0]}}
        return {
            "probabilities": (dict[str, float], {"description": text, "json_schema_extra": even}),
            "decision": (Literal[*classes], decision),
        }


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

    def reply_fields(self, label: str) -> Fields:
        """Describe ``prediction``, and the ends of its interval."""
        text = "end of the interval around the prediction; absent where the version that answers has none"
        end: dict[str, Any] = {"default": None, "exclude_if": lambda end: end is None}
        ends = {name: (float | None, {**end, "description": f"{name.title()} {text}"}) for name in self.ends}
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
        task.ends, task.answer_dtypes = ENDS, {**task.answer_dtypes, **dict.fromkeys(ENDS, "float64")}
    return task


def answering(name: str, outputs: Sequence[str]) -> Task:
    """Return the task of a served model from the columns of its answers."""
    return KINDS[name].answering(outputs)


def suited(values: int) -> str:
    """Return the name of the classification that takes so many classes."""
    return next(name for name, kind in KINDS.items() if not kind.numeric and values in kind.class_counts)
