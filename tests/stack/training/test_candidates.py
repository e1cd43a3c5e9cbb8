"""Candidates learn what there is to learn, and take their input in a single shape."""

import subprocess
import sys
from datetime import timedelta

import numpy as np
import optuna
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

import projects
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.kit.models import Candidate, Columns
from stack.training import candidates, trees
from stack.training.export import export


def test_the_input_is_numbers_then_categories(toy, toy_rows):
    rows = toy_rows(4).assign(town_id=["Bath", None, np.nan, "Cork"])
    frame = candidates.frame(toy, rows)
    assert list(frame.columns) == ["wet", "cold", "town_id"]
    assert frame.dtypes[["wet", "cold"]].tolist() == [np.float32, np.float32]
    assert frame["town_id"].tolist() == ["Bath", "", "", "Cork"]


@pytest.mark.parametrize(
    ("name", "at_least"),
    [("gradient_boosting", 0.7), ("lightgbm", 0.7), ("xgboost", 0.7), ("linear", 0.75), ("dummy", 0.5)],
)
def test_a_candidate_learns(toy, toy_rows, name, at_least):
    fit, test = toy_rows(seed=1), toy_rows(seed=2)
    spec = trained(toy, candidates=[name])
    centre = candidates.available(spec, len(fit))[name].initial_params
    pipeline = candidates.fit(spec, name, centre, fit)
    probability = pipeline.predict_proba(candidates.frame(toy, test))[:, 1]
    assert roc_auc_score(test["rain"], probability) >= at_least


@pytest.mark.parametrize("name", ["gradient_boosting", "linear", "lightgbm", "xgboost"])
def test_a_project_may_have_one_kind_of_column(toy, toy_rows, name):
    rows = toy_rows(400)
    for kind in ("number", "category"):
        columns = {column: dtype for column, dtype in toy.features.columns.items() if dtype == kind}
        spec = toy.model_copy(update={"features": toy.features.model_copy(update={"columns": columns})})
        assert candidates.fit(spec, name, {}, rows).n_features_in_ == len(columns)


@pytest.mark.parametrize("name", ["gradient_boosting", "linear", "lightgbm", "xgboost"])
def test_a_number_that_every_row_lacks_is_learnt_without(toy, toy_rows, name, tmp_path):
    """As a rare measurement is in the rows of one fold; the rows that are answered may have it."""
    rows = toy_rows(400)
    pipeline = candidates.fit(toy, name, {}, rows.assign(cold=np.nan))
    served = export(pipeline, toy, tmp_path, rows)
    answer = pipeline.predict_proba(candidates.frame(toy, rows))[:, 1]
    assert np.isfinite(answer).all()
    assert abs(served.predict({column: rows[column] for column in served.columns})[:, 0] - answer).max() < 1e-5


def drawn(spec, known):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for name in candidates.searched(known):
        study.enqueue_trial(candidates.initial_params(name, known))
    return [candidates.suggest(study.ask(), known) for _ in candidates.searched(known)]


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize("rows", [300, 5000, 300_000])
def test_trials_begin_at_the_centres(toy, rows, task):
    known = candidates.available(trained(toy, candidates=[]).model_copy(update={"task": task}), rows)
    searched = ("gradient_boosting", "linear", "lightgbm", "xgboost")
    assert drawn(toy, known) == [(name, known[name].initial_params) for name in searched]


def test_leaves_fit_the_table(toy):
    centres = [
        candidates.available(toy, rows)["gradient_boosting"].initial_params for rows in (400, 6000, 30_000, 300_000)
    ]
    assert [params["min_samples_leaf"] for params in centres] == [5, 40, 200, 200]


def trained(toy, **update):
    return toy.model_copy(update={"training": toy.training.model_copy(update=update)})


def test_only_the_candidates_of_the_project_are_searched(toy):
    known = candidates.available(trained(toy, candidates=["dummy", "linear"]), 1000)
    assert list(known) == ["dummy", "linear"]
    assert candidates.searched(known) == ["linear"]


def test_a_project_moves_a_centre(toy):
    known = candidates.available(trained(toy, initial_params={"linear": {"C": 2.0}}), 1000)
    assert known["linear"].initial_params == {"C": 2.0}
    assert drawn(toy, known)[1] == ("linear", {"C": 2.0})


def test_without_the_extra_nothing_changes_and_a_name_of_it_says_how_to_install_it(toy, toy_rows, monkeypatch):
    monkeypatch.setattr(trees, "find_spec", lambda name: None)
    assert list(candidates.available(trained(toy, candidates=[]), 1000)) == ["dummy", "gradient_boosting", "linear"]
    with pytest.raises(StackError, match="make extras NAME=boosters"):
        candidates.available(trained(toy, candidates=["lightgbm"]), 1000)
    with pytest.raises(StackError, match="make extras NAME=boosters"):
        candidates.fit(toy, "lightgbm", {}, toy_rows(100))


def test_a_project_that_uses_no_booster_imports_none():
    code = (
        "import sys; from stack.specification import specs; from stack.training import candidates, export;"
        "assert 'xgboost' in candidates.available(specs.load('titanic'), 1000);"
        "assert not {'lightgbm', 'xgboost', 'onnxmltools'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("update", "meant"),
    [
        ({"candidates": ["liner"]}, "'linear'"),
        ({"initial_params": {"gradient_boosting": {"max_iters": 3}}}, "'max_iter'"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(toy, update, meant):
    with pytest.raises(StackError) as error:
        candidates.available(trained(toy, **update), 1000)
    assert f"did you mean {meant}" in error.value.found


MODEL = """
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
from stack.kit.models import Candidate, Metric

def forest(columns, seed, **params):
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return make_pipeline(columns.through("passthrough", codes), ExtraTreesClassifier(random_state=seed, **params))

def space(trial):
    return {
        "n_estimators": trial.suggest_int("n_estimators", 5, 40),
        "max_features": trial.suggest_float("max_features", 0.2, 1),
        "criterion": trial.suggest_categorical("criterion", ["gini", "log_loss"]),
    }

def best_tenth(label, answer):
    return label[answer[:, 0].argsort()[::-1][: len(label) // 10]].mean()

CENTRE = {"n_estimators": 20, "max_features": 0.5, "criterion": "gini"}
CANDIDATES = {"forest": Candidate(forest, space, CENTRE)}
METRIC = Metric("best_tenth", best_tenth)
"""


@pytest.fixture
def woods(toy, tmp_path, monkeypatch):
    """The toy project with a model.py of its own."""
    (tmp_path / "woods").mkdir()
    (tmp_path / "woods" / "model.py").write_text(MODEL)
    monkeypatch.setattr(Settings, "projects", tmp_path)
    monkeypatch.setattr(projects, "__path__", [str(tmp_path)])
    return trained(toy, candidates=["dummy", "gradient_boosting", "linear", "forest"]).model_copy(
        update={"name": "woods"}
    )


def test_a_project_brings_its_own_candidates(woods, toy_rows):
    fit, test = toy_rows(1000, seed=1), toy_rows(1000, seed=2)
    known = candidates.available(woods, len(fit))
    assert list(known) == ["dummy", "gradient_boosting", "linear", "forest"]
    assert drawn(woods, known)[2] == ("forest", known["forest"].initial_params)
    pipeline = candidates.fit(woods, "forest", dict(known["forest"].initial_params), fit)
    assert pipeline[-1].n_estimators == 20
    assert roc_auc_score(test["rain"], pipeline.predict_proba(candidates.frame(woods, test))[:, 1]) > 0.7


def test_a_project_brings_its_own_metric(woods):
    metric = candidates.own_metric(woods)
    label, answer = np.array([0.0] * 10 + [1.0] * 10), np.linspace(0, 1, 20).reshape(-1, 1)
    assert (metric.name, metric.measure(label, answer)) == ("best_tenth", 1.0)


def test_a_project_without_model_py_has_none(toy):
    assert candidates.own(toy) == {}
    assert candidates.own_metric(toy) is None


def test_columns_go_through_their_own_steps():
    steps = Columns(("a", "b"), ("c",)).through("passthrough", "drop").transformers
    assert [(name, part) for name, _, part in steps] == [("number", slice(0, 2)), ("category", slice(2, 3))]
    assert len(Columns((), ("c",)).through("passthrough", "drop").transformers) == 1


def directed(toy, **update):
    features = toy.features.model_copy(update={"monotonic": {"wet": "increasing", "cold": "decreasing"}})
    return trained(toy, **update).model_copy(update={"features": features})


@pytest.mark.parametrize("name", ["gradient_boosting", "lightgbm", "xgboost"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_served_form_keeps_to_the_directions_of_columns(toy, toy_rows, tmp_path, name, task):
    """The outcome of a quarter of the rows contradicts them, so that a free model does not."""
    spec, rows = directed(toy, candidates=[name]).model_copy(update={"task": task}), toy_rows(2000)
    rows["rain"] = (rows["rain"] + (np.sin(3 * rows["wet"].fillna(0)) > 0.7) > 0).astype(int)
    steps = np.linspace(-3, 3, 60, dtype=np.float32)

    def largest_fall(spec, folder):
        params = candidates.available(spec, len(rows))[name].initial_params
        model = export(candidates.fit(spec, name, params, rows), spec, folder, rows.head(500))
        asked = rows.head(30).loc[lambda rows: rows.index.repeat(len(steps))]
        ways = [(column, sign, np.tile(steps, 30)) for column, sign in (("wet", 1), ("cold", -1))]
        answers = [sign * model.predict(asked.assign(**{column: values})) for column, sign, values in ways]
        assert model.form == "onnx"
        return -min(np.diff(answer.reshape(30, -1), axis=1).min() for answer in answers)

    assert largest_fall(spec, tmp_path / "directed") < 1e-6
    assert largest_fall(trained(toy, candidates=[name]).model_copy(update={"task": task}), tmp_path / "free") > 1e-3


def test_what_cannot_keep_to_a_direction_is_left_out_with_a_notice(toy):
    spec = directed(toy)
    assert list(candidates.available(spec, 1000)) == ["dummy", "gradient_boosting"]
    assert candidates.notice(spec, 1000).endswith("features.monotonic: linear")
    assert candidates.notice(toy, 1000) == ""
    with pytest.raises(StackError, match=r"key training.candidates(.|\n)*linear(.|\n)*features.monotonic"):
        candidates.available(directed(toy, candidates=["linear"]), 1000)


@pytest.mark.parametrize("name", ["gradient_boosting", "lightgbm", "xgboost", "linear"])
def test_newer_rows_count_more_by_their_half_life(toy, toy_rows, name):
    """What rain follows from turns round in the middle of the time; the last rows are a quarter."""
    rows = toy_rows(2000)
    newer = rows["event_timestamp"] > rows["event_timestamp"].quantile(0.75)
    rows["rain"] = (newer ^ (rows["cold"] > 0)).astype(int)
    test = toy_rows(1000, seed=9)

    def auc(**update):
        spec = trained(toy, candidates=[name], **update)
        params = candidates.available(spec, len(rows))[name].initial_params
        answer = candidates.fit(spec, name, params, rows).predict_proba(candidates.frame(spec, test))[:, 1]
        return roc_auc_score(test["cold"] <= 0, answer)

    assert auc(half_life=timedelta(days=1)) > 0.9
    assert auc() < 0.1


def test_weights_halve_with_each_half_life(toy, toy_rows):
    rows, spec = toy_rows(3), trained(toy, half_life=timedelta(days=2))
    rows["event_timestamp"] = pd.to_datetime(["2024-01-05", "2024-01-01", "2024-01-03"], utc=True)
    assert candidates.weights(spec, rows).tolist() == pytest.approx([12 / 7, 3 / 7, 6 / 7])
    assert candidates.weights(toy, rows) is None


def test_a_candidate_that_cannot_weight_its_rows_is_named(woods, toy_rows, monkeypatch):
    neighbours = Candidate(lambda columns, seed: make_pipeline(SimpleImputer(), KNeighborsClassifier()))
    monkeypatch.setattr(candidates, "own", lambda spec: {"neighbours": neighbours})
    with pytest.raises(StackError, match=r"training.half_life(.|\n)*neighbours"):
        candidates.fit(trained(woods, half_life=timedelta(days=2)), "neighbours", {}, toy_rows(100))
