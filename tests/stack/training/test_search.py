"""The search finds the better candidate, gives up on hopeless ones, and repeats itself."""

import socket
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest

from stack.core.workers import Workers
from stack.training import candidates, splits, trees
from stack.training.evaluation import Scorer
from stack.training.search import Fold, TrialResult, prepare_folds, score_fold, search
from tests.stack.conftest import DAYS, START


@pytest.fixture(scope="module")
def split(toy, toy_rows):
    return splits.holdout(toy, toy_rows(), START + timedelta(days=DAYS, hours=6))


@pytest.fixture(scope="module")
def trials(toy, split):
    tried: list[TrialResult] = []
    best = search(toy, split, tried.append)
    return best, tried


def test_every_trial_is_reported_once(toy, trials):
    _, tried = trials
    assert [trial.number for trial in tried] == list(range(toy.training.trials + 1))
    assert [trial.candidate for trial in tried[:3]] == ["dummy", "gradient_boosting", "linear"]


def test_the_best_has_the_smallest_loss(trials):
    best, tried = trials
    whole = [trial for trial in tried if not trial.pruned]
    assert best.loss == min(trial.loss for trial in whole)
    assert best.loss < tried[0].loss - 0.05
    assert all(len(trial.losses) == 2 for trial in whole)


def test_hopeless_trials_are_given_up_after_a_fold(toy, trials):
    _, tried = trials
    given_up = [trial for trial in tried if trial.pruned]
    assert given_up
    assert all(len(trial.losses) == 1 for trial in given_up)
    assert "(pruned)" in given_up[0].summary(Scorer.of(toy))


def test_the_same_seed_finds_the_same(toy, split, trials):
    again: list[TrialResult] = []
    search(toy, split, again.append)
    assert again == trials[1]


def test_workers_find_the_same_and_are_named(toy, split, trials):
    again: list[TrialResult] = []
    with ThreadPoolExecutor(2) as executor:
        best = search(toy, split, again.append, Workers(executor))
    assert (best, again) == trials
    assert {score.host for trial in again for score in trial.scores} == {socket.gethostname()}


def test_a_baseline_alone_is_the_best_there_is(toy, split):
    training = toy.training.model_copy(update={"candidates": ["dummy"]})
    tried: list[TrialResult] = []
    assert search(toy.model_copy(update={"training": training}), split, tried.append).candidate == "dummy"
    assert len(tried) == 1


def test_the_folds_are_weighted_and_their_scores_are_not(toy, split):
    spec = toy.model_copy(update={"training": toy.training.model_copy(update={"half_life": timedelta(days=3)})})
    fold = prepare_folds(spec, split)[-1]
    assert np.argmax(fold.weight) == len(fold.fit) - 1 and fold.weight.min() < 0.5
    score = score_fold(spec, fold, "linear", {"C": 0.1})
    assert score.loss != score_fold(toy, fold._replace(weight=None), "linear", {"C": 0.1}).loss


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_the_number_of_trees_is_found_on_the_folds(toy, split, name):
    spec = toy.model_copy(update={"training": toy.training.model_copy(update={"candidates": [name], "trials": 2})})
    tried: list[TrialResult] = []
    best = search(spec, split, tried.append)
    counts = [score.found["n_estimators"] for score in best.scores]
    assert 1 <= min(counts) <= best.params["n_estimators"] <= max(counts) < trees.MOST_TREES
    assert candidates.fit(spec, name, best.params, split.fit)[-1].n_estimators == best.params["n_estimators"]


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
def test_a_fold_may_lack_a_class(toy, toy_rows, name):
    """As the middle one of three; the model of the fold gives it next to no probability."""
    spec, rows = toy.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]}), toy_rows(800)
    fit, test = rows.assign(rain=rows["rain"] * 2), rows.assign(rain=np.arange(800) % 3)
    fold = Fold(candidates.frame(spec, fit), fit["rain"], candidates.frame(spec, test), test["rain"])
    score = score_fold(spec, fold, name, {})
    assert np.isfinite(score.loss) and score.found["n_estimators"] >= 1
