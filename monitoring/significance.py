"""Whether two samples differ by more than chance: what compares the columns of few rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from pandas import DataFrame, Series, api, concat
from scipy import stats

LEVEL = 0.025
"""Probability that any column of rows without a shift drifts. A report compares rows of two origins, so 5 % in all."""
LEAST_EXPECTED = 5.0
"""Rows of a category below which the chi-square distribution is no approximation: such categories are taken together
(Cochran 1954)."""


def p_value(reference: Series[Any], current: Series[Any]) -> float:
    """Return the p-value of the Kolmogorov-Smirnov test of numbers, or of the chi-square test of categories.

    Missing values are left out; 1 where a sample has no other.
    """
    reference, current = reference.dropna(), current.dropna()
    if reference.empty or current.empty:
        return 1.0
    if api.types.is_numeric_dtype(reference):
        return float(stats.ks_2samp(reference, current, method="asymp").pvalue)
    counts = concat([reference.value_counts(), current.value_counts()], axis=1).fillna(0).to_numpy()
    rare = counts.sum(axis=1) * counts.sum(axis=0).min() / counts.sum() < LEAST_EXPECTED
    counts = np.vstack([counts[~rare], counts[rare].sum(axis=0)])
    counts = counts[counts.sum(axis=1) > 0]
    return float(stats.chi2_contingency(counts).pvalue) if len(counts) > 1 else 1.0


def p_value_beyond(reference: Series[Any], current: Series[Any], tolerance: float) -> float:
    """Return the p-value of numbers that are larger or smaller than the reference by more than a tolerance.

    Args:
        tolerance: in standard deviations of the reference.
    """
    reference, current = reference.dropna(), current.dropna()
    step = tolerance * reference.std(ddof=0)
    larger = stats.ks_2samp(current, reference + step, alternative="less", method="asymp").pvalue
    smaller = stats.ks_2samp(current, reference - step, alternative="greater", method="asymp").pvalue
    return float(min(1.0, 2 * min(larger, smaller)))


def missing_rise_error(reference: DataFrame, current: DataFrame) -> Series[float]:
    """Return the standard error of the difference of each column's share of missing values."""
    share = concat([reference, current]).isna().mean()
    return (share * (1 - share) * (1 / max(len(reference), 1) + 1 / max(len(current), 1))) ** 0.5
