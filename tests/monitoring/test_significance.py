"""Few rows without a shift cry wolf in at most one report of twenty, and a shift is seen."""

import numpy as np
import pandas as pd
import pytest

from monitoring.significance import LEVEL, missing_rise_error, p_value, p_value_beyond

KINDS = ["number", "count", "flag", "few", "many"]


def column(kind: str, rows: int, random: np.random.Generator) -> pd.Series:
    """Return a column: skewed numbers, small counts, a rare flag, two categories, two hundred of unequal size."""
    match kind:
        case "number":
            return pd.Series(random.lognormal(size=rows))
        case "count":
            return pd.Series(random.poisson(2, rows).astype(float))
        case "flag":
            return pd.Series((random.random(rows) < 0.03).astype(float))
        case "few":
            return pd.Series(random.choice(["a", "b"], rows, p=[0.99, 0.01]))
    return pd.Series((random.pareto(1.2, rows) * 3).clip(max=200).astype(int).astype(str))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [50, 300, 900])
def test_without_a_shift_the_level_is_kept(kind, rows):
    random = np.random.default_rng(rows)
    draws, before = 200, 4000 if rows > 50 else 200
    values = [p_value(column(kind, before, random), column(kind, rows, random)) for _ in range(draws)]

    assert np.mean(np.array(values) < LEVEL) <= LEVEL + 3 * (LEVEL * (1 - LEVEL) / draws) ** 0.5


def test_a_shift_is_seen_and_no_value_is_no_evidence():
    random = np.random.default_rng(0)
    numbers, letters = column("number", 4000, random), column("few", 4000, random)
    new = pd.Series(["c"] * 20 + ["a"] * 280)

    assert p_value(numbers, 3 * column("number", 300, random)) < 1e-6
    assert p_value(letters, new) < 1e-6
    assert p_value(numbers, pd.Series([np.nan] * 9)) == p_value(letters, letters.iloc[:0]) == 1


def test_the_error_of_a_share_falls_with_the_rows():
    gaps = pd.DataFrame({"half": [1.0, np.nan] * 500, "whole": 1.0})

    assert missing_rise_error(gaps, gaps.head(100)).round(3).to_dict() == {"half": 0.052, "whole": 0.0}


def test_predictions_that_a_refit_moved_a_little_do_not_drift():
    sure, surer = pd.Series([0.001, 0.98] * 400), pd.Series([0.002, 0.99] * 150)

    assert p_value(sure, surer) < 1e-6 < 0.9 < p_value_beyond(sure, surer, 0.1)
    assert p_value_beyond(sure, 1 - surer.head(200).clip(upper=0.5), 0.1) < 1e-6
