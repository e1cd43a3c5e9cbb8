"""How much will it be? The answer is the expected value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from stack.core.errors import StackError
from stack.specification.tasks.task import CLIP, Task, as_array, as_column, largest, skill

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


class Regression(Task):
    """How much will it be? The answer is the expected value."""

    name = "regression"
    numeric = True
    class_counts, class_rule = (0,), "none"
    headline = ("rmse", "r2", "mae")
    skill_limits = {"skill": (0.0, None)}
    loss = "mse"
    plots = ("predicted", "residuals")
    outputs = ("prediction",)
    answer_dtypes = {"prediction": "float64"}
    outcome_type, outcome_example = float, 1.5

    @classmethod
    def question(cls, label: str, classes: Sequence[Any]) -> str:
        """Ask for the value."""
        return f"How much is {label}?"

    @property
    def outcomes(self) -> str:
        """What an outcome may be, in words."""
        return "a number"

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes into floats; a missing one stays missing.

        Raises:
            StackError: an outcome is no number.
        """
        import pandas as pd

        encoded = pd.to_numeric(values, errors="coerce").astype("float64")
        unknown = values[encoded.isna() & values.notna()]
        if len(unknown):
            raise StackError(where, found=f"{unknown.iloc[0]!r} in {len(unknown)} rows", expected="numbers")
        return encoded

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Return the predicted value, (n, 1)."""
        return as_array(pipeline.predict(features)).reshape(-1, 1)

    def baseline(self, label: Any) -> np.ndarray:
        """Return the mean."""
        return as_array(as_column(label).mean(keepdims=True))

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Return the squared error of each row."""
        return as_array((as_column(answer) - as_column(label)) ** 2)

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Return ``rmse``, ``r2`` (NaN for fewer than two rows), ``mae``, ``mse``, ``skill`` (1 - mse / mse of the
        baseline), ``bias`` (mean prediction - mean outcome), ``mean`` and ``rows``.
        """
        from sklearn.metrics import mean_absolute_error, r2_score

        y, p = as_column(label), as_column(answer)
        mse = float(((p - y) ** 2).mean())
        return {
            "rmse": mse**0.5,
            "r2": float(r2_score(y, p)) if len(y) > 1 else float("nan"),
            "mae": float(mean_absolute_error(y, p)),
            "mse": mse,
            "skill": skill(mse, float(((as_column(baseline) - y) ** 2).mean())),
            "bias": float(p.mean() - y.mean()),
            "mean": float(y.mean()),
            "rows": float(len(y)),
        }

    def difference(self, answer: Any, expected: Any) -> float:
        """Return how far answers are from what they should be, as a share of the largest one."""
        return super().difference(answer, expected) / max(largest(as_array(expected)), CLIP)

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Return ``prediction``."""
        return {"prediction": float(answer[0])}

    def reply_fields(self, label: str) -> dict[str, tuple[Any, dict[str, Any]]]:
        """Describe ``prediction``."""
        return {"prediction": (float, {"description": f"Predicted value of {label}"})}
