"""What a model of this project is measured by: a campaign that calls a fifth of the customers."""

from typing import Any

import numpy as np

from stack.kit.models import Metric

BUDGET = 0.2
"""Share of the customers that are called."""


def top_fifth(label: Any, answer: Any) -> float:
    """Share of all buyers (1) among the fifth of the customers with the highest probability; 0.2 is chance."""
    buyers = np.asarray(label, dtype=float)
    ranked = np.argsort(-np.asarray(answer, dtype=float)[:, 0], kind="stable")
    return float(buyers[ranked[: int(BUDGET * len(buyers))]].sum() / buyers.sum())


METRIC = Metric("top_fifth", top_fifth)
