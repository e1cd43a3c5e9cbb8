"""Sets of classes that hold a wanted share of the outcomes.

A class is in the set of an answer where its probability is at least 1 - correction; the most probable class always is
(Sadinle, Lei and Wasserman, 2019, Least Ambiguous Set-Valued Classifiers, https://arxiv.org/abs/1609.00451).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def members(answer: Any, correction: Any) -> np.ndarray:
    """Return whether each class is in the set, (n, classes).

    Args:
        answer: probabilities, (n, classes).
        correction: of all rows, or of each, (n,).
    """
    import numpy as np

    answer = np.asarray(answer, dtype=np.float64)
    least = 1 - np.broadcast_to(np.asarray(correction, dtype=np.float64), len(answer))
    return np.asarray(answer >= np.minimum(least, answer.max(axis=1))[:, None])


def names(probabilities: Mapping[str, float], correction: float) -> list[str]:
    """Return the set of one answer, the most probable class first."""
    ranked = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
    return ranked[:1] + [name for name in ranked[1:] if probabilities[name] >= 1 - correction]


def correction(label: Any, answer: Any, level: float) -> float:
    """Return the correction with which the sets hold such a share of outcomes (n,) like these."""
    return quantile(1 - _of(label, answer), level)


def coverage(label: Any, answer: Any, correction: Any) -> float:
    """Return the share of encoded outcomes (n,) that are in the sets of answers (n, classes)."""
    return float(_of(label, members(answer, correction)).mean())


def quantile(scores: Any, level: float) -> float:
    """Return the score that a share `level` of further scores like these (n,) do not exceed."""
    import numpy as np

    ordered = np.sort(scores)
    return float(ordered[min(len(ordered), int(np.ceil((len(ordered) + 1) * level))) - 1])


def _of(label: Any, values: Any) -> np.ndarray:
    """Return the values (n, classes) of the class of each row, (n,)."""
    import numpy as np

    values = np.asarray(values)
    return np.asarray(values[np.arange(len(values)), np.asarray(label).astype(int)])
