"""Predictions of a class: the probability of an outcome, or a probability for each of several classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from stack.specification import calibration, class_sets
from stack.specification.task import CLIP, CORRECTION, OPTIONAL, SET, Fields, Task, as_array, as_column

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

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

    def frame(self, answers: np.ndarray, threshold: float) -> dict[str, Any]:
        """Return ``probability`` and ``decision`` of answers (n, 1)."""
        return {"probability": answers[:, 0], "decision": answers[:, 0] >= threshold}

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
        """Return ``probabilities`` by class and ``decision``, the most probable class.

        With a set, also its ``classes``, the most probable first, and the ``correction`` in it.
        """
        named = {str(name): float(value) for name, value in zip(self.classes, answer, strict=False)}
        reply = {"probabilities": named, "decision": max(named, key=named.__getitem__)}
        if len(answer) == len(named):
            return reply
        return reply | {SET: class_sets.names(named, answer[-1]), CORRECTION: float(answer[-1])}

    def columns(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reply as a row of a frame: a column a class, ``decision``, and the set as one text."""
        probabilities = {f"{PREFIX}{name}": value for name, value in reply["probabilities"].items()}
        row = probabilities | {"decision": reply["decision"]}
        return row | {SET: ", ".join(reply.get(SET, ())), CORRECTION: reply.get(CORRECTION)} if self.ends else row

    def frame(self, answers: np.ndarray, threshold: float) -> dict[str, Any]:
        """Return the probabilities and the decisions of answers (n, classes); sets are made row by row."""
        import numpy as np

        if self.ends:
            return super().frame(answers, threshold)
        answers = answers[:, : len(self.classes)]
        decisions = np.array([str(name) for name in self.classes], dtype=object)[answers.argmax(axis=1)]
        return dict(zip(self.outputs, answers.T, strict=True)) | {"decision": decisions}

    def reply_fields(self, label: str) -> Fields:
        """Describe ``probabilities`` and ``decision``."""
        classes = [str(name) for name in self.classes]
        even = {"example": dict.fromkeys(classes, round(1 / len(classes), 3))}
        text = f"Probability of each class: {', '.join(classes)}"
        decision = {"description": "The most probable class", "json_schema_extra": {"example": classes[0]}}
        text_of_set = "Classes that the outcome may be, the most probable first; absent where the version has no sets"
        of_set: Fields = {SET: (list[str] | None, {**OPTIONAL, "description": text_of_set})}
        return {
            "probabilities": (dict[str, float], {"description": text, "json_schema_extra": even}),
            "decision": (Literal[*classes], decision),
        } | (of_set if self.ends else {})
