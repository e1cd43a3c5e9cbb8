"""The threshold of a model is the one whose decisions cost least."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack.serving.served import ServedModel
from stack.specification.costs import Costs
from stack.training import evaluation, splits, thresholds, training
from stack.training.search import search
from tests.stack.conftest import DAYS, START

COSTS = Costs(missed=10, false_alarm=1, call=0.5)


def priced(toy, costs=COSTS):
    """The toy project with costs; a specification that was read has a threshold where its file has one."""
    training = toy.training.model_copy(update={"candidates": ["linear"], "trials": 2})
    return toy.model_copy(update={"costs": costs, "training": training})


@pytest.fixture(scope="module")
def split(toy, toy_rows):
    return splits.holdout(toy, toy_rows(), START + timedelta(days=DAYS, hours=6))


def test_the_curve_is_the_cost_at_each_threshold():
    random = np.random.default_rng(0)
    label, probability = random.integers(0, 2, 200), random.uniform(size=200).round(1)
    points = list(zip(*thresholds.curve(COSTS, label, probability), strict=True))
    assert len(points) == 12 and (points[0][2], points[-1][2]) == (0, 200)
    for threshold, cost, calls in points:
        assert cost == pytest.approx(COSTS.of(label, probability, threshold).mean())
        assert calls == (probability >= threshold).sum()


def test_the_cost_of_a_row_is_that_of_its_decision():
    assert COSTS.of([0, 0, 1, 1], [0.2, 0.5, 0.2, 0.9], 0.5).tolist() == [0, 1.5, 10, 0.5]
    assert COSTS.without_model(0.5) == 1.0 and COSTS.without_model(0.01) == pytest.approx(0.1)


def test_a_model_is_measured_and_served_with_the_threshold_of_the_folds(toy, split, tmp_path):
    best = search(priced(toy), split, lambda _: None)
    assert 0 < best.threshold < 0.3, "a miss costs ten times a false alarm"
    assert best.choice["threshold"] == best.threshold
    metrics = training.evaluate(priced(toy), split, best, tmp_path)
    rows = pd.read_parquet(tmp_path / "holdout" / "holdout.parquet")
    assert metrics["cost"] == pytest.approx(COSTS.of(rows["rain"], rows["probability"], best.threshold).mean())
    assert metrics["cost.low"] < metrics["cost"] < metrics["cost.high"]
    assert metrics["cost"] < COSTS.of(rows["rain"], rows["probability"], 0.5).mean()
    assert metrics["cost"] < COSTS.without_model(rows["rain"].mean())
    assert (tmp_path / "plots" / "cost.png").stat().st_size > 1000
    training.refit(priced(toy), split.fit, best, tmp_path)
    assert ServedModel(tmp_path / "served").threshold == best.threshold


def test_a_budget_lets_the_best_of_each_day_through(toy, split):
    best = search(priced(toy, Costs(budget=20)), split, lambda _: None)
    folds = list(splits.folds(toy, split))
    days = sum(fold.test["event_timestamp"].dt.floor("D").nunique() for fold in folds)
    rows = sum(len(fold.test) for fold in folds)
    assert rows > 100 * days, "the budget is a fifth of the rows"
    result = training.candidates.fit(toy, best.candidate, best.params, split.fit)
    answer = result.predict_proba(training.candidates.frame(toy, split.test))[:, 1]
    called = (answer >= best.threshold).sum() / split.test["event_timestamp"].dt.floor("D").nunique()
    assert 10 < called < 30


def test_without_costs_nothing_is_priced(toy, split):
    best = search(priced(toy, None), split, lambda _: None)
    assert best.threshold is None and "threshold" not in best.choice
    rows = split.test.assign(probability=0.5)
    assert "cost" not in evaluation.measure(toy.with_threshold(0.3), rows)
