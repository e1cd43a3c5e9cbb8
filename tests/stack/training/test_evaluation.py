"""Metrics, against values worked out by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from stack.kit.models import Metric
from stack.training import candidates, evaluation
from stack.training.evaluation import Scorer


def test_a_judge_measures_with_the_task_and_the_project(toy):
    right = Metric("right", lambda label, answer: float(((answer[:, 0] > 0.5) == label).mean()))
    label, answer = np.array([0, 0, 1, 1]), np.array([[0.1], [0.6], [0.4], [0.9]])
    plain, mine = Scorer.of(toy), Scorer(Scorer.of(toy).task, right)
    assert mine.metrics(label, answer, [0.5])["right"] == 0.5
    assert mine.metrics(label, answer, [0.5])["auc"] == plain.metrics(label, answer, [0.5])["auc"] == 0.75
    assert plain.loss(label, answer) == pytest.approx(-(2 * math.log(0.9) + 2 * math.log(0.4)) / 4)
    assert (mine.loss(label, answer), mine.objective, plain.objective) == (-0.5, "right", "log_loss")
    assert (mine.headline[0], plain.headline[0]) == ("right", "auc")
    assert [mine.greater_is_better(name) for name in ("right", "auc", "rmse")] == [True, True, False]


def test_a_metric_that_should_be_small_is_a_loss(toy):
    judge = Scorer(Scorer.of(toy).task, Metric("gap", lambda label, answer: 3.0, greater_is_better=False))
    assert judge.loss([0, 1], [[0.1], [0.2]]) == 3.0
    assert not judge.greater_is_better("gap")


def test_answers_stand_in_columns_of_their_names(toy):
    spec = toy.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]})
    rows = evaluation.answered(spec, pd.DataFrame(index=[4, 7]), np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4]]))
    assert list(rows) == ["probability_a", "probability_b", "probability_c"]
    assert evaluation.answers(spec, rows)[1].tolist() == [0.3, 0.3, 0.4]


def test_slices_are_measured_apart(toy):
    rows = pd.DataFrame({"town": list("aabb"), "rain": [0, 1, 0, 1], "probability": [0.2, 0.8, 0.9, 0.1]})
    assert evaluation.slices(toy, rows, "town") == {"a": 1.0, "b": 0.0}


def test_calibration_bins_hold_equally_many_rows():
    probability = np.linspace(0, 1, 1000)
    predicted, observed, rows = zip(*evaluation.reliability(probability, probability > 0.5, bins=10), strict=True)
    assert rows == (100,) * 10
    assert observed == (0,) * 5 + (1,) * 5
    assert list(predicted) == sorted(predicted)


def test_calibration_of_a_constant_has_bins_too():
    bins = evaluation.reliability(np.full(100, 0.5), np.array([0, 1] * 50))
    assert sum(rows for _, _, rows in bins) == 100


def test_what_the_outcome_follows_from_is_important(toy, toy_rows):
    rows = toy_rows(1500)
    features = candidates.frame(toy, rows)
    pipeline = candidates.fit(toy, "linear", {"C": 0.1}, rows)
    importances = evaluation.importance(pipeline, toy, features, rows["rain"], seed=7)
    assert importances["column"].tolist() == ["wet", "cold", "town_id"]
    assert importances["importance"].iloc[0] > 0.05


@pytest.mark.parametrize(
    ("task", "label", "answer", "names"),
    [
        ("binary", [0, 1, 0, 1], [[0.2], [0.4], [0.3], [0.9]], ["calibration", "roc"]),
        ("multiclass", [0, 2, 2], [[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.4, 0.5, 0.1]], ["confusion"]),
        ("regression", [1.0, 2.5], [[1.2], [2.0]], ["predicted", "residuals"]),
    ],
)
def test_plots_are_drawn_without_a_display(toy, tmp_path, task, label, answer, names):
    spec = toy.model_copy(update={"task": task, "classes": ["a", "b", "c"] if task == "multiclass" else []})
    importances = pd.DataFrame({"column": ["wet"], "importance": [0.1], "deviation": [0.01]})
    evaluation.plots(spec, label, np.array(answer), importances, tmp_path)
    drawn = {path.name: path.read_bytes()[:4] for path in tmp_path.iterdir()}
    assert drawn == dict.fromkeys([f"{name}.png" for name in (*names, "importance")], b"\x89PNG")
