"""The reference figures of the flights: a model that is much better has a leak, one that is worse lost something."""

import pytest

from stack.specification import tasks
from stack.training import candidates

TOLERANCE = {"auc": 0.005, "brier": 0.001, "log_loss": 0.003}


def measured(spec, pipeline, rows, base_rate):
    task = tasks.of(spec)
    return task.metrics(rows[spec.label], task.predict(pipeline, candidates.frame(spec, rows)), [base_rate])


def off(metrics, wanted):
    return {name: metrics[name] for name in wanted if abs(metrics[name] - wanted[name]) > TOLERANCE[name]}


def test_six_weeks_tell_the_next_two(spec, fit, between):
    rows = between("2013-01-01", "2013-02-15")
    metrics = measured(spec, fit(rows), between("2013-02-15", "2013-03-01"), rows["late"].mean())
    assert not off(metrics, {"auc": 0.717, "brier": 0.1656, "log_loss": 0.506})
    assert metrics["brier_skill"] >= 0.10
    assert abs(metrics["bias"]) <= 0.06


def test_two_months_tell_the_third(spec, first_model, between):
    metrics = measured(spec, first_model, between("2013-03-01", "2013-04-01"), base_rate=0.27)
    assert not off(metrics, {"auc": 0.754, "brier": 0.1577, "log_loss": 0.486})


def test_trees_beat_the_line_and_the_line_beats_the_baseline(spec, fit, first_model, between):
    rows, march = between("2013-01-01", "2013-03-01"), between("2013-03-01", "2013-04-01")
    models = (first_model, fit(rows, "linear"), fit(rows, "dummy"))
    trees, line, baseline = (measured(spec, model, march, 0.27)["log_loss"] for model in models)
    assert trees < line < baseline - 0.05


def test_a_random_split_would_have_flattered(spec, fit, between):
    """Flights of one evening share their weather: a test set that is not later measures memory."""
    rows = between("2013-01-01", "2013-03-01")
    test = rows.sample(frac=0.25, random_state=1)
    metrics = measured(spec, fit(rows.drop(test.index)), test, base_rate=0.27)
    assert metrics["auc"] > 0.76
    assert metrics["auc"] == pytest.approx(0.79, abs=0.03)
