"""The calibration of a model's probabilities: a rising curve from their log-odds to those of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Points = Sequence[Sequence[float]]
"""Log-odds of an answer, and calibrated log-odds: two points or more by rising answer, joined by lines."""
Span = tuple[float, float]
SERVED: Span = 1e-6, 1 - 1e-3
"""Served answers beyond count as these: they are float32, which has few digits left beside 1."""
FLOAT32: Span = 1e-7, 1 - 1e-7
"""The resolution of float32."""


def log_odds(probability: Any, span: Span = SERVED) -> np.ndarray:
    """Return the log-odds of probabilities, of those beyond a span that of its ends."""
    import numpy as np

    clipped = np.clip(np.asarray(probability, dtype=np.float64), *span)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def apply(points: Points, probability: Any, span: Span = SERVED) -> np.ndarray:
    """Return calibrated probabilities, of the same shape: as they are without points, else by lines between these.

    Beyond the points the outer lines go on.
    """
    import numpy as np

    if not points:
        return np.asarray(probability, dtype=np.float64)
    x, y = np.asarray(points, dtype=np.float64).T
    score = log_odds(probability, span)
    line = np.clip(np.searchsorted(x, score) - 1, 0, len(x) - 2)
    slope = np.diff(y) / np.diff(x)
    return np.asarray(1 / (1 + np.exp(-(y[line] + slope[line] * (score - x[line])))))
