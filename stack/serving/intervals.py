"""Prediction intervals: two quantiles, moved apart by one number that the newest errors give.

Conformalised quantile regression (Romano, Patterson and Candès, 2019, https://arxiv.org/abs/1905.03222), with the same
number on both sides.
"""

from typing import Any

import numpy as np

from stack.specification.class_sets import quantile


def around(answer: np.ndarray, quantiles: np.ndarray, correction: float) -> np.ndarray:
    """Return the ends of intervals, (n, 2): quantiles (n, 2) moved apart, and as far as the answers (n, 1) reach."""
    low, high = quantiles.T
    return np.column_stack([np.minimum(low - correction, answer[:, 0]), np.maximum(high + correction, answer[:, 0])])


def correction(label: Any, ends: Any, level: float) -> float:
    """Return by how much both ends (n, 2) move apart so that such a share of outcomes (n,) like these is inside."""
    low, high = np.asarray(ends, dtype=np.float64).T
    return quantile(np.maximum(low - label, label - high), level)


def coverage(label: Any, ends: Any) -> float:
    """Return the share of outcomes (n,) that are inside of their intervals (n, 2)."""
    low, high = np.asarray(ends, dtype=np.float64).T
    return float(((low <= label) & (label <= high)).mean())
