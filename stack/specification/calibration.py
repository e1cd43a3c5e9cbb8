"""The calibration of a binary model: a rising curve from the log-odds of its answers to those of the outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Points = Sequence[Sequence[float]]
"""Log-odds of an answer, and calibrated log-odds: two points or more by rising answer, joined by lines."""
LEAST, MOST = 1e-6, 1 - 1e-3
"""Answers beyond count as these: a served answer is a float32, which has few digits left beside 1."""


def log_odds(probability: Any) -> np.ndarray:
    """Return the log-odds of probabilities, those of `LEAST` and `MOST` at the ends."""
    import numpy as np

    clipped = np.clip(np.asarray(probability, dtype=np.float64), LEAST, MOST)
    return np.asarray(np.log(clipped / (1 - clipped)))


def apply(points: Points, probability: Any) -> np.ndarray:
    """Return calibrated probabilities, of the same shape; beyond the points the outer lines go on."""
    import numpy as np

    x, y = np.asarray(points, dtype=np.float64).T
    score = log_odds(probability)
    line = np.clip(np.searchsorted(x, score) - 1, 0, len(x) - 2)
    slope = np.diff(y) / np.diff(x)
    return np.asarray(1 / (1 + np.exp(-(y[line] + slope[line] * (score - x[line])))))
