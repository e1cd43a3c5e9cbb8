"""How good the probabilities were, measured on the rows whose label has arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pandas import Series
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score


@dataclass(frozen=True)
class Performance:
    """Scores of probabilities against 0/1 labels.

    ``bias`` is mean probability minus observed rate: above zero the model says too much. ``auc`` is missing where
    the rows hold one class only.
    """

    rows: int
    log_loss: float
    brier: float
    auc: float | None
    bias: float
    observed_rate: float


def measure(probability: Series, label: Series) -> Performance | None:
    """Score the rows that have both; None when there are none.

    Args:
        probability: of the positive class, one a row.
        label: 0, 1 or missing, aligned with `probability`.
    """
    p = probability.to_numpy("float64", na_value=np.nan)
    y = label.to_numpy("float64", na_value=np.nan)
    known = np.isfinite(p) & np.isfinite(y)
    if not known.any():
        return None
    p, y = p[known], y[known]
    return Performance(
        rows=int(known.sum()),
        log_loss=float(log_loss(y, p, labels=[0, 1])),
        brier=float(brier_score_loss(y, p)),
        auc=float(roc_auc_score(y, p)) if 0 < y.mean() < 1 else None,
        bias=float(p.mean() - y.mean()),
        observed_rate=float(y.mean()),
    )


def reliability(probability: Series, label: Series, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean probability, observed rate and rows of each equally filled bin, by rising probability."""
    p = probability.to_numpy("float64", na_value=np.nan)
    y = label.to_numpy("float64", na_value=np.nan)
    known = np.isfinite(p) & np.isfinite(y)
    order = np.argsort(p[known], kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return [(float(p[known][part].mean()), float(y[known][part].mean()), int(part.size)) for part in parts]
