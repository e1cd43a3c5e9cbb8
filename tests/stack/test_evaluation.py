"""Metrics, against values worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from stack import candidates, evaluation


def test_metrics_of_four_rows():
    found = evaluation.metrics([0, 0, 1, 1], [0.1, 0.6, 0.4, 0.9], base_rate=0.5)
    assert found == pytest.approx(
        {
            "auc": 0.75,
            "brier": (0.01 + 0.36 + 0.36 + 0.01) / 4,
            "log_loss": -(2 * math.log(0.9) + 2 * math.log(0.4)) / 4,
            "brier_skill": 1 - 0.185 / 0.25,
            "bias": 0.0,
            "rate": 0.5,
            "rows": 4,
        }
    )


def test_bias_is_positive_where_too_much_is_promised():
    assert evaluation.metrics([0, 0, 0, 1], [0.5] * 4, base_rate=0.25)["bias"] == pytest.approx(0.25)


def test_saying_the_base_rate_has_no_skill():
    assert evaluation.metrics([0, 0, 0, 1], [0.3] * 4, base_rate=0.3)["brier_skill"] == pytest.approx(0)


def test_an_auc_needs_both_outcomes():
    assert math.isnan(evaluation.metrics([1, 1], [0.2, 0.8], base_rate=0.5)["auc"])


def test_a_certain_mistake_costs_much_but_not_everything():
    assert 30 < evaluation.losses([1], [0.0])[0] < 40


def test_slices_are_measured_apart():
    rows = pd.DataFrame({"town": list("aabb"), "rain": [0, 1, 0, 1], "probability": [0.2, 0.8, 0.9, 0.1]})
    assert evaluation.slices(rows, "town", "rain") == {"a": 1.0, "b": 0.0}


def test_calibration_bins_hold_equally_many_rows():
    probability = np.linspace(0, 1, 1000)
    bins = evaluation.calibration((probability > 0.5).astype(int), probability, bins=10)
    assert bins["rows"].tolist() == [100] * 10
    assert bins["rate"].tolist() == [0] * 5 + [1] * 5
    assert bins["probability"].is_monotonic_increasing


def test_calibration_of_a_constant_has_bins_too():
    assert evaluation.calibration([0, 1] * 50, [0.5] * 100)["rows"].sum() == 100


def test_what_the_outcome_follows_from_is_important(toy, toy_rows):
    rows = toy_rows(1500)
    features = candidates.frame(toy, rows)
    pipeline = candidates.build("logistic_regression", {"C": 0.1}, toy, seed=7).fit(features, rows["rain"])
    found = evaluation.importance(pipeline, toy, features, rows["rain"], seed=7)
    assert found["column"].tolist() == ["wet", "cold", "town_id"]
    assert found["importance"].iloc[0] > 0.05


def test_plots_are_drawn_without_a_display(tmp_path):
    importances = pd.DataFrame({"column": ["wet"], "importance": [0.1], "deviation": [0.01]})
    evaluation.plots([0, 1, 0, 1], [0.2, 0.4, 0.3, 0.9], importances, tmp_path)
    drawn = {path.name: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    assert drawn == dict.fromkeys(["calibration.png", "roc.png", "importance.png"], b"\x89PNG")
