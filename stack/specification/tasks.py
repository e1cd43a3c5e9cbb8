"""What a project predicts: the probability of an outcome, one of several classes, or a number.

Inside, an outcome is a float: 0 or 1, the position of its class, or the value itself; it is encoded once, where a
frame of labelled events is made. A model's answer is an array (rows, outputs); in a frame it has one column an output.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from stack.core.errors import StackError
from stack.specification.specs import ProjectSpec

CLIP = 1e-15
RARE = 0.1
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "rmse", "mae", "mse"})
"""Metrics that fall as a model improves; the others rise, but for a bias, which is best at 0."""


class Task(ABC):
    """One kind of prediction."""

    headline: ClassVar[tuple[str, ...]]
    """Metrics that people compare models by, the most telling first."""
    loss: ClassVar[str]
    """Name of the mean of :meth:`losses`."""
    outputs: tuple[str, ...]
    """Columns of an answer in a frame."""
    classes: tuple[Any, ...] = ()
    """What the source names the outcomes of a classification, in the order of their positions."""

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes as the source gives them into floats; a missing one stays missing.

        Raises:
            StackError: an outcome is none that project.yaml knows; `where` names the data.
        """
        found = pd.to_numeric(values, errors="coerce").astype("float64")
        strange = values[found.isna() & values.notna()]
        if len(strange):
            raise StackError(where, found=f"{strange.iloc[0]!r} in {len(strange)} rows", expected="numbers")
        return found

    @abstractmethod
    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Answer with a fitted scikit-learn pipeline, float64 (n, outputs)."""

    @abstractmethod
    def baseline(self, label: Any) -> np.ndarray:
        """The constant answer (outputs,) that fits encoded outcomes best, without any feature."""

    @abstractmethod
    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Loss of each row, (n,), from encoded outcomes (n,) and answers (n, outputs)."""

    @abstractmethod
    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Measure answers (n, outputs) against encoded outcomes (n,); skill is measured against `baseline`."""

    def difference(self, found: Any, wanted: Any) -> float:
        """How far answers (n, outputs) are from what they should be, at most."""
        return float(np.abs(np.asarray(found) - np.asarray(wanted)).max(initial=0))

    @abstractmethod
    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """One row's answer (outputs,) as the caller is told it."""


class Binary(Task):
    """Will it happen? The answer is the probability that it does."""

    headline = ("auc", "brier", "log_loss")
    loss = "log_loss"
    outputs = ("probability",)

    def __init__(self, classes: Sequence[Any]) -> None:
        """Take the outcomes as the source names them: the negative one, then the positive one."""
        self.classes = tuple(classes) or (0, 1)

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn outcomes into 0 and 1."""
        return _positions(values, self.classes, where)

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Give the probability of the positive outcome, (n, 1)."""
        return np.asarray(pipeline.predict_proba(features)[:, 1:], dtype=np.float64)

    def baseline(self, label: Any) -> np.ndarray:
        """Give the share of positive outcomes."""
        return np.asarray([np.mean(np.asarray(label, dtype=float))])

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Log-loss of each row."""
        y, p = _column(label), np.clip(_column(answer), CLIP, 1 - CLIP)
        return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)))

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Give ``auc`` (NaN with one outcome), ``brier``, ``log_loss``, ``brier_skill``, ``bias`` (mean probability -
        observed rate), ``rate`` and ``rows``; ``accuracy`` (at 0.5) only where each outcome is at least a tenth of the
        rows: otherwise it is as high for an answer that is always the same.
        """
        from sklearn.metrics import roc_auc_score  # 50 MB that the prediction service, which measures nothing, saves

        y, p = _column(label), _column(answer)
        brier = float(np.mean((p - y) ** 2))
        accuracy = {"accuracy": float(np.mean((p >= 0.5) == (y == 1)))} if RARE <= y.mean() <= 1 - RARE else {}
        return {
            "auc": float(roc_auc_score(y, p)) if 0 < y.mean() < 1 else float("nan"),
            "brier": brier,
            "log_loss": float(self.losses(y, p).mean()),
            "brier_skill": _skill(brier, float(np.mean((_column(baseline) - y) ** 2))),
            "bias": float(p.mean() - y.mean()),
            "rate": float(y.mean()),
            "rows": float(len(y)),
        } | accuracy

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Give ``probability`` and ``decision``."""
        return {"probability": float(answer[0]), "decision": bool(answer[0] >= threshold)}


class Multiclass(Task):
    """Which one is it? The answer is a probability for each class."""

    headline = ("log_loss", "accuracy", "auc")
    loss = "log_loss"

    def __init__(self, classes: Sequence[Any]) -> None:
        """Take the classes as the source names them, in the order of the outputs."""
        self.classes = tuple(classes)
        self.outputs = tuple(f"probability_{one}" for one in self.classes)

    def encode(self, values: pd.Series, where: str) -> pd.Series:
        """Turn classes into their positions."""
        return _positions(values, self.classes, where)

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Give the probability of each class, (n, classes); 0 for one that the pipeline was not fitted on."""
        found = np.zeros((len(features), len(self.classes)))
        found[:, np.asarray(pipeline.classes_, dtype=int)] = pipeline.predict_proba(features)
        return found

    def baseline(self, label: Any) -> np.ndarray:
        """Give the share of each class."""
        return np.asarray(self._indicators(_column(label)).mean(axis=0))

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Log-loss of each row."""
        p = np.clip(np.asarray(answer, dtype=float), CLIP, 1)
        return np.asarray(-np.log(p[np.arange(len(p)), _column(label).astype(int)]))

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Give ``log_loss``, ``accuracy``, ``auc`` (mean of one class against the rest, NaN where one is absent),
        ``brier``, ``brier_skill``, ``bias`` (of the class where it is largest) and ``rows``.
        """
        from sklearn.metrics import roc_auc_score

        y, p = _column(label), np.asarray(answer, dtype=float)
        truth = self._indicators(y)
        brier = float(np.mean(np.sum((p - truth) ** 2, axis=1)))
        gaps = p.mean(axis=0) - truth.mean(axis=0)
        every = bool((truth.sum(axis=0) > 0).all())
        return {
            "log_loss": float(self.losses(y, p).mean()),
            "accuracy": float(np.mean(p.argmax(axis=1) == y)),
            "auc": float(roc_auc_score(truth, p, average="macro")) if every else float("nan"),
            "brier": brier,
            "brier_skill": _skill(brier, float(np.mean(np.sum((np.asarray(baseline) - truth) ** 2, axis=1)))),
            "bias": float(gaps[np.abs(gaps).argmax()]),
            "rows": float(len(y)),
        }

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Give ``probabilities`` by class and ``decision``, the most probable class."""
        named = {str(one): float(value) for one, value in zip(self.classes, answer, strict=True)}
        return {"probabilities": named, "decision": max(named, key=named.__getitem__)}

    def _indicators(self, label: np.ndarray) -> np.ndarray:
        return np.asarray(np.eye(len(self.classes))[label.astype(int)])


class Regression(Task):
    """How much will it be? The answer is the expected value."""

    headline = ("rmse", "r2", "mae")
    loss = "mse"
    outputs = ("prediction",)

    def predict(self, pipeline: Any, features: pd.DataFrame) -> np.ndarray:
        """Give the predicted value, (n, 1)."""
        return np.asarray(pipeline.predict(features), dtype=np.float64).reshape(-1, 1)

    def baseline(self, label: Any) -> np.ndarray:
        """Give the mean."""
        return np.asarray([np.mean(np.asarray(label, dtype=float))])

    def losses(self, label: Any, answer: Any) -> np.ndarray:
        """Squared error of each row."""
        return np.asarray((_column(answer) - _column(label)) ** 2)

    def metrics(self, label: Any, answer: Any, baseline: Any) -> dict[str, float]:
        """Give ``rmse``, ``r2`` (NaN for fewer than two rows), ``mae``, ``mse``, ``skill`` (1 - mse / mse of the
        baseline), ``bias`` (mean prediction - mean outcome), ``mean`` and ``rows``.
        """
        from sklearn.metrics import mean_absolute_error, r2_score

        y, p = _column(label), _column(answer)
        mse = float(np.mean((p - y) ** 2))
        return {
            "rmse": mse**0.5,
            "r2": float(r2_score(y, p)) if len(y) > 1 else float("nan"),
            "mae": float(mean_absolute_error(y, p)),
            "mse": mse,
            "skill": _skill(mse, float(np.mean((_column(baseline) - y) ** 2))),
            "bias": float(p.mean() - y.mean()),
            "mean": float(y.mean()),
            "rows": float(len(y)),
        }

    def difference(self, found: Any, wanted: Any) -> float:
        """How far answers are from what they should be, as a share of the largest one."""
        return super().difference(found, wanted) / max(float(np.abs(np.asarray(wanted)).max(initial=0)), CLIP)

    def reply(self, answer: Sequence[float], threshold: float) -> dict[str, Any]:
        """Give ``prediction``."""
        return {"prediction": float(answer[0])}


def of(spec: ProjectSpec) -> Task:
    """The task of a project."""
    match spec.task:
        case "binary":
            return Binary(spec.classes)
        case "multiclass":
            return Multiclass(spec.classes)
        case "regression":
            return Regression()


def _positions(values: pd.Series, classes: Sequence[Any], where: str) -> pd.Series:
    """Replace classes by their positions; 1, 1.0 and True are the same class."""
    positions = {one: float(at) for at, one in enumerate(classes)}
    found = values.astype(object).map(positions.get).astype("float64")
    strange = values[found.isna() & values.notna()]
    if len(strange):
        raise StackError(
            where,
            found=f"{', '.join(map(repr, strange.unique()[:3]))} in {len(strange)} rows",
            expected=f"one of {', '.join(map(repr, classes))}",
            todo="correct the data, or the key classes of project.yaml",
        )
    return found


def _column(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=float).reshape(-1)


def _skill(found: float, baseline: float) -> float:
    return 1 - found / baseline if baseline else float("nan")
