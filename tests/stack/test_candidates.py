"""Candidates learn what there is to learn, and take their input in one shape."""

import numpy as np
import optuna
import pytest
from sklearn.metrics import roc_auc_score

from stack import candidates


def test_the_input_is_numbers_then_categories(toy, toy_rows):
    rows = toy_rows(4).assign(town_id=["Bath", None, np.nan, "Cork"])
    made = candidates.frame(toy, rows)
    assert list(made.columns) == ["wet", "cold", "town_id"]
    assert made.dtypes[["wet", "cold"]].tolist() == [np.float32, np.float32]
    assert made["town_id"].tolist() == ["Bath", "", "", "Cork"]


@pytest.mark.parametrize(
    ("name", "at_least"), [("gradient_boosting", 0.7), ("logistic_regression", 0.75), ("dummy", 0.5)]
)
def test_a_candidate_learns(toy, toy_rows, name, at_least):
    fit, test = toy_rows(seed=1), toy_rows(seed=2)
    pipeline = candidates.build(name, candidates.CENTRES[name], toy, seed=7).fit(
        candidates.frame(toy, fit), fit["rain"]
    )
    probability = pipeline.predict_proba(candidates.frame(toy, test))[:, 1]
    assert roc_auc_score(test["rain"], probability) >= at_least


@pytest.mark.parametrize("name", ["gradient_boosting", "logistic_regression"])
def test_a_project_may_have_one_kind_of_column(toy, toy_rows, name):
    rows = toy_rows(400)
    for kind in ("number", "category"):
        columns = {column: found for column, found in toy.features.columns.items() if found == kind}
        spec = toy.model_copy(update={"features": toy.features.model_copy(update={"columns": columns})})
        pipeline = candidates.build(name, candidates.CENTRES[name], spec, seed=7)
        assert pipeline.fit(candidates.frame(spec, rows), rows["rain"]).n_features_in_ == len(columns)


def test_trials_begin_at_the_centres(toy):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for name in candidates.searched(toy):
        study.enqueue_trial(candidates.centre(name))
    drawn = [candidates.suggest(study.ask(), toy) for _ in candidates.searched(toy)]
    assert drawn == [(name, candidates.CENTRES[name]) for name in ("gradient_boosting", "logistic_regression")]


def test_only_the_candidates_of_the_project_are_searched(toy):
    training = toy.training.model_copy(update={"candidates": ["dummy", "logistic_regression"]})
    assert candidates.searched(toy.model_copy(update={"training": training})) == ["logistic_regression"]
