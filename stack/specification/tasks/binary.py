"""Will it happen? The answer is the probability that it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from stack.specification.tasks.task import CLIP, Task, as_array, as_column, skill

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

RARE = 0.1


class Binary(Task):
    """Will it happen? The answer is the probability that it does.

    Args:
        classes: the negative outcome, then the positive one; 0 and 1 when left out.
    """

    name = "binary"
    class_counts, class_rule = (0, 2), "two classes, or none for 0 and 1"
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
        """Ask whether the outcome is the positive one."""
        return f"Is {label} {classes[1] if classes else 1}?"

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the probability of the positive outcome, (n, 1)."""
        return as_array(pipeline.predict_proba(features)[:, 1:])

    def baseline(self, label: Any) -> np.ndarray:
        """Return the share of positive outcomes."""
        return as_array(as_column(label).mean(keepdims=True))

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the log-loss of each row."""
        import numpy as np

        y, p = as_column(label), as_column(answer).clip(CLIP, 1 - CLIP)
        return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)))

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Return ``auc`` (NaN with one outcome), ``brier``, ``log_loss``, ``brier_skill``, ``bias`` (mean probability -
        observed rate), ``rate`` and ``rows``; ``accuracy`` (at 0.5) only where each outcome is at least a tenth of the
        rows: otherwise it is as high for an answer that is always the same.
        """
        from sklearn.metrics import roc_auc_score  # 50 MB that the prediction service, which measures nothing, saves

        y, p = as_column(label), as_column(answer)
        brier = float(((p - y) ** 2).mean())
        accuracy = {"accuracy": float(((p >= 0.5) == (y == 1)).mean())} if RARE <= y.mean() <= 1 - RARE else {}
        return {
            "auc": float(roc_auc_score(y, p)) if 0 < y.mean() < 1 else float("nan"),
            "brier": brier,
            "log_loss": float(self.losses(y, p).mean()),
            "brier_skill": skill(brier, float(((as_column(baseline) - y) ** 2).mean())),
            "bias": float(p.mean() - y.mean()),
            "rate": float(y.mean()),
            "rows": float(len(y)),
        } | accuracy

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``probability`` and ``decision``."""
        return {"probability": float(answer[0]), "decision": bool(answer[0] >= threshold)}

    def reply_fields(self, label: str) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Describe ``probability`` and ``decision``."""
        return {
            "probability": (float, {"ge": 0, "le": 1, "description": "Probability of the positive outcome"}),
            "decision": (bool, {"description": "Whether the probability reaches the project's threshold"}),
        }
