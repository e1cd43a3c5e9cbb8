"""How good a model is: metrics, slices, calibration and ROC, and what it looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from pandas import DataFrame, Series
from sklearn.inspection import permutation_importance
from sklearn.metrics import log_loss, roc_auc_score, roc_curve
from sklearn.pipeline import Pipeline

from stack.project import ProjectSpec

IMPORTANCE_ROWS = 1000
BINS = 20
CLIP = 1e-15


def metrics(label: Any, probability: Any, base_rate: float) -> dict[str, float]:
    """Measure probabilities against outcomes.

    Args:
        label: 0 or 1, (n,).
        probability: of outcome 1, (n,).
        base_rate: share of 1 in the training rows; the Brier skill is measured against saying always that.

    Returns:
        ``auc`` (NaN with one outcome only), ``brier``, ``log_loss``, ``brier_skill``, ``bias`` (mean probability -
        mean outcome), ``rate`` and ``rows``.
    """
    y, p = np.asarray(label, dtype=float), np.asarray(probability, dtype=float)
    brier = float(np.mean((p - y) ** 2))
    return {
        "auc": auc(y, p),
        "brier": brier,
        "log_loss": float(losses(y, p).mean()),
        "brier_skill": 1 - brier / float(np.mean((base_rate - y) ** 2)),
        "bias": float(p.mean() - y.mean()),
        "rate": float(y.mean()),
        "rows": float(len(y)),
    }


def losses(label: Any, probability: Any) -> np.ndarray:
    """Log-loss of each row, (n,)."""
    y, p = np.asarray(label, dtype=float), np.clip(np.asarray(probability, dtype=float), CLIP, 1 - CLIP)
    found: np.ndarray = -(y * np.log(p) + (1 - y) * np.log1p(-p))
    return found


def auc(label: Any, probability: Any) -> float:
    """Area under the ROC curve; NaN where only one outcome occurs."""
    y = np.asarray(label)
    return float(roc_auc_score(y, probability)) if 0 < y.mean() < 1 else float("nan")


def slices(frame: DataFrame, column: str, label: str) -> dict[str, float]:
    """AUC of each value of a column, over rows that hold `label` and ``probability``."""
    groups = frame.groupby(column, sort=True)
    return {str(value): auc(rows[label], rows["probability"]) for value, rows in groups}


def fold_loss(pipeline: Pipeline, features: DataFrame, label: Series[Any]) -> float:
    """Log-loss of a fitted pipeline."""
    return float(log_loss(label, pipeline.predict_proba(features)[:, 1], labels=[0, 1]))


def calibration(label: Any, probability: Any, bins: int = BINS) -> DataFrame:
    """Mean probability and observed rate in bins of equally many rows.

    Returns:
        Columns ``probability``, ``rate``, ``rows``.
    """
    table = pd.DataFrame({"probability": np.asarray(probability), "rate": np.asarray(label)})
    binned = pd.qcut(table["probability"].rank(method="first"), min(bins, len(table)), labels=False)
    grouped = table.groupby(binned)
    return grouped.mean().assign(rows=grouped.size())


def importance(pipeline: Pipeline, spec: ProjectSpec, features: DataFrame, label: Series[Any], seed: int) -> DataFrame:
    """Permutation importance: how much the log-loss rises when a column is shuffled.

    Args:
        features: as :func:`stack.candidates.frame` makes it; a sample of `IMPORTANCE_ROWS` is used.

    Returns:
        Columns ``column``, ``importance`` and ``deviation``, the most important first.
    """
    sample = features.sample(min(IMPORTANCE_ROWS, len(features)), random_state=seed)
    found = permutation_importance(
        pipeline, sample, label.loc[sample.index], scoring="neg_log_loss", n_repeats=2, random_state=seed
    )
    table = {"column": sample.columns, "importance": found["importances_mean"], "deviation": found["importances_std"]}
    return pd.DataFrame(table).sort_values("importance", ascending=False, ignore_index=True)


def plots(label: Any, probability: Any, importances: DataFrame, folder: Path) -> None:
    """Draw ``calibration.png``, ``roc.png`` and ``importance.png`` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    bins = calibration(label, probability)
    _square(
        "predicted probability", "observed rate", bins["probability"], bins["rate"], "o-", folder / "calibration.png"
    )
    false, true, _ = roc_curve(label, probability)
    _square("false positive rate", "true positive rate", false, true, "-", folder / "roc.png")
    figure = Figure(figsize=(6, 0.22 * len(importances) + 1), layout="constrained")
    axes = figure.subplots()
    axes.barh(importances["column"][::-1], importances["importance"][::-1], xerr=importances["deviation"][::-1])
    axes.set_xlabel("rise of the log-loss when shuffled")
    figure.savefig(folder / "importance.png", dpi=80)


def _square(x_name: str, y_name: str, x: Any, y: Any, style: str, path: Path) -> None:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    axes.plot(x, y, style)
    axes.set(xlabel=x_name, ylabel=y_name, xlim=(0, 1), ylim=(0, 1))
    figure.savefig(path, dpi=80)
