"""Numbers of a window that are further from the champion's reference than the reference's own windows were.

Seasons and trends move a time series, so that a difference alone says little. Each window of the reference is compared
with all that came before it, as a window of requests is compared with all that the champion was trained on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame
from scipy import stats

from monitoring import significance
from monitoring.comparison import WindowComparison
from monitoring.frames import TIME
from monitoring.rules import LEAST_ROWS

FEWEST, MOST = 2, 12
"""Windows of the reference that tell how much a number varies; of more, the last ones are taken."""
Values = NDArray[np.float64]
"""Of a number, sorted, without the missing ones."""


def of(window: WindowComparison) -> dict[str, float]:
    """Return by how much further from the reference each number is than the reference's own windows were.

    Distances are those of Kolmogorov and Smirnov: the largest difference of the two shares of rows below a value. A
    number is left out that differs by no more than chance, or whose reference covers too few windows.
    """
    if not window.by_share or TIME not in window.reference:
        return {}
    numbers = window.spec.column_types("number")
    found: dict[str, float] = {}
    for name in numbers:
        reference, current = _values(window.reference, name), _values(window.current, name)
        distance = _distance(reference, current)
        if _p_value(distance, len(reference), len(current)) < significance.LEVEL / len(numbers):
            usual = [_distance(before, part) for before, part in _windows(window, name)]
            found |= {name: distance - max(usual)} if len(usual) >= FEWEST else {}
    return found


def _windows(window: WindowComparison, name: str) -> Iterator[tuple[Values, Values]]:
    """Yield the values of the reference before each of its last windows, and those of that window."""
    rows, length = window.reference[[TIME, name]].dropna().sort_values(TIME), window.policy.window
    times, values = rows[TIME].to_numpy(), rows[name].to_numpy(np.float64)
    ends = [rows[TIME].max() - number * length for number in range(MOST)]
    for end in ends:
        first, last = times.searchsorted(np.array([end - length, end], times.dtype), side="right")
        if min(first, last - first) >= LEAST_ROWS:
            yield np.sort(values[:first]), np.sort(values[first:last])


def _values(frame: DataFrame, name: str) -> Values:
    values: Values = np.sort(frame[name].dropna().to_numpy(np.float64))
    return values if len(values) >= LEAST_ROWS else values[:0]


def _distance(one: Values, other: Values) -> float:
    """Return the Kolmogorov-Smirnov distance of sorted values; 0 where there are none."""
    if not len(one) or not len(other):
        return 0.0
    at = np.concatenate([one, other])
    shares: list[Any] = [values.searchsorted(at, side="right") / len(values) for values in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def _p_value(distance: float, rows: int, others: int) -> float:
    """Return the probability of such a distance, or a larger one, by chance."""
    return float(stats.kstwobign.sf(distance * (rows * others / max(rows + others, 1)) ** 0.5))
