"""Which one is it? The answer is a probability for each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

from stack.specification.tasks.task import CLIP, Task, as_array, as_column, skill

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PREFIX = "probability_"


class Multiclass(Task):
    """Which one is it? The answer is a probability for each class.

    Args:
        classes: in the order of the outputs.
    """

    name = "multiclass"
    class_counts, class_rule = range(3, 1001), "three or more"
    has_mean = False
    headline = ("log_loss", "accuracy", "auc")
    skill_limits = {"brier_skill": (0.0, None)}
    loss = "log_loss"
    plots = ("confusion",)

    def __init__(self, classes: Sequence[Any] = ()) -> None:
        super().__init__(classes)
        self.outputs = tuple(f"{PREFIX}{one}" for one in self.classes)
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

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the probability of each class, (n, classes); 0 for one that the pipeline was not fitted on."""
        import numpy as np

        answer = np.zeros((len(features), len(self.classes)))
        answer[:, np.asarray(pipeline.classes_, dtype=int)] = pipeline.predict_proba(features)
        return answer

    def baseline(self, label: Any) -> np.ndarray:
        """Return the share of each class."""
        return as_array(self._indicators(as_column(label)).mean(axis=0))

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the log-loss of each row."""
        import numpy as np

        p = as_array(answer).clip(CLIP, 1)
        return np.asarray(-np.log(p[np.arange(len(p)), as_column(label).astype(int)]))

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Return ``log_loss``, ``accuracy``, ``auc`` (mean of one class against the rest, NaN where one is absent),
        ``brier``, ``brier_skill``, ``bias`` (of the class where it is largest) and ``rows``.
        """
        from sklearn.metrics import roc_auc_score

        y, p = as_column(label), as_array(answer)
        truth = self._indicators(y)
        brier = float(((p - truth) ** 2).sum(axis=1).mean())
        gaps = p.mean(axis=0) - truth.mean(axis=0)
        every = bool((truth.sum(axis=0) > 0).all())
        return {
            "log_loss": float(self.losses(y, p).mean()),
            "accuracy": float((p.argmax(axis=1) == y).mean()),
            "auc": float(roc_auc_score(truth, p, average="macro")) if every else float("nan"),
            "brier": brier,
            "brier_skill": skill(brier, float(((as_array(baseline) - truth) ** 2).sum(axis=1).mean())),
            "bias": float(gaps[abs(gaps).argmax()]),
            "rows": float(len(y)),
        }

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``probabilities`` by class and ``decision``, the most probable class."""
        named = {str(one): float(value) for one, value in zip(self.classes, answer, strict=True)}
        return {"probabilities": named, "decision": max(named, key=named.__getitem__)}

    def columns(self, reply: Mapping[str, Any]) -> dict[str, Any]:
        """Return a reply as a row of a frame: a column a class, and ``decision``."""
        probabilities = {f"{PREFIX}{name}": value for name, value in reply["probabilities"].items()}
        return probabilities | {"decision": reply["decision"]}

    def reply_fields(self, label: str) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Describe ``probabilities`` and ``decision``."""
        classes = [str(one) for one in self.classes]
        even = {"example": dict.fromkeys(classes, round(1 / len(classes), 3))}
        text = f"Probability of each class: {', '.join(classes)}"
        decision = {"description": "The most probable class", "json_schema_extra": {"example": classes[0]}}
        return {
            "probabilities": (dict[str, float], {"description": text, "json_schema_extra": even}),
            "decision": (Literal[*classes], decision),
        }

    def _indicators(self, label: np.ndarray) -> np.ndarray:
        import numpy as np

        return np.asarray(np.eye(len(self.classes))[label.astype(int)])
