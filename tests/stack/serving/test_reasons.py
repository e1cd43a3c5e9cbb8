"""Reasons add up to the answer, and are the Shapley values that the definition gives."""

import json
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

from stack.serving import reasons
from stack.serving.reasons import Explainer, Features, UnexplainableError
from stack.serving.served import ServedModel
from stack.training import candidates, training
from stack.training.search import TrialResult


@pytest.fixture(scope="module")
def folder(toy, toy_rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    training.refit(toy, toy_rows(), TrialResult(1, "gradient_boosting", {"max_iter": 50}, []), folder)
    return folder / "served"


ROWS = {
    "wet": [1.5, None, -0.3, float("nan")],
    "town_id": ["Oban", None, "never seen", "Bath"],
    "cold": [-0.5, 0.1, 2.0, None],
}


def log_odds(probability):
    return np.log(probability / (1 - probability))


def shapley(model, background, row):
    """The mean over all orders and background rows of the step that a feature makes in its turn, in log-odds."""
    names = [*model.columns]
    steps = dict.fromkeys(names, 0.0)
    orders = [*permutations(names)]
    for order in orders:
        for other in background:
            mixed = dict(other)
            for name in order:
                before = log_odds(model.predict({key: [value] for key, value in mixed.items()})[0, 0])
                mixed[name] = row[name]
                after = log_odds(model.predict({key: [value] for key, value in mixed.items()})[0, 0])
                steps[name] += (after - before) / len(orders) / len(background)
    return steps


def test_few_features_have_the_shapley_values_of_the_definition(folder):
    model = ServedModel(folder)
    background = pd.DataFrame(json.loads((folder / "background.json").read_text())).to_dict("records")
    assert len(background) == 16
    outputs = model.predict(ROWS)
    for at, why in enumerate(model.explain(ROWS, outputs)):
        expected = shapley(model, background, {name: values[at] for name, values in ROWS.items()})
        assert why.contributions == pytest.approx(expected, abs=1e-5)
        assert why.base + sum(why.contributions.values()) == pytest.approx(log_odds(outputs[at, 0]), abs=1e-9)
        sizes = [abs(value) for value in why.contributions.values()]
        assert sizes == sorted(sizes, reverse=True)
        assert why.unit == "log-odds"


def test_the_base_is_close_to_the_mean_of_all_rows(folder, toy, toy_rows):
    model, rows = ServedModel(folder), toy_rows()
    (why,) = model.explain({name: [values[0]] for name, values in ROWS.items()}, np.array([[0.5]]))
    assert why.base == pytest.approx(log_odds(model.predict(rows)[:, 0]).mean(), abs=0.05)


def test_the_same_row_has_the_same_reasons_alone_and_among_others(folder):
    model, outputs = ServedModel(folder), ServedModel(folder).predict(ROWS)
    together = model.explain(ROWS, outputs)
    last = {name: values[-1:] for name, values in ROWS.items()}
    assert ServedModel(folder).explain(last, outputs[-1:]) == together[-1:]


def test_a_form_without_background_rows_says_so(toy, toy_rows, folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "background.json").unlink()
    with pytest.raises(UnexplainableError):
        ServedModel(tmp_path).explain(ROWS, np.full((4, 1), 0.5))


def explainer(predict, numbers, unit="number"):
    names = [f"x{at}" for at in range(numbers.shape[1])]
    none = np.empty((len(numbers), 0), dtype=object)
    return Explainer(predict, names, Features(numbers.astype("float32"), none), unit)


def alone(values):
    return Features(np.array([values], dtype="float32"), np.empty((1, 0), dtype=object))


@pytest.mark.parametrize("features", [1, 5, 40])
def test_the_contributions_of_a_sum_are_its_terms(features):
    random = np.random.default_rng(5)
    weights, background = random.normal(size=features), random.normal(size=(7, features)).astype("float32")
    calls = []

    def predict(given):
        calls.append(len(given.numbers))
        return given.numbers.astype(float) @ weights[:, None]

    row = random.normal(size=features).astype("float32")
    explain, output = explainer(predict, background), row.astype(float) @ weights
    why = explain.explain(alone(row), np.array([output]))
    terms = weights * (row.astype(float) - background.astype(float).mean(axis=0))
    assert why.contributions == pytest.approx({f"x{at}": term for at, term in enumerate(terms)}, abs=1e-9)
    assert len(calls) == 1 + (features > 1), "the background, then all coalitions in one call"


def test_many_features_share_their_interaction_evenly_and_others_get_nothing():
    def predict(given):
        return given.numbers[:, :1].astype(float) * given.numbers[:, 1:2]

    why = explainer(predict, np.zeros((16, 30))).explain(alone([2.0] * 30), np.array([4.0]))
    assert [why.contributions[name] for name in ("x0", "x1")] == [2.0, 2.0]
    assert sum(map(abs, why.contributions.values())) == 4.0


def test_of_several_classes_the_decision_is_explained():
    def predict(given):
        share = 1 / (1 + np.exp(-given.numbers[:, 0].astype(float)))
        return np.stack([share * 0.5, share * 0.5, 1 - share], axis=1)

    explain, row = explainer(predict, np.linspace(-1, 1, 16)[:, None], "log-odds"), alone([-3.0])
    output = predict(row)[0]
    why = explain.explain(row, output)
    assert why.base + why.contributions["x0"] == pytest.approx(log_odds(output[2]))
    assert why.contributions["x0"] > 0


def test_a_certain_answer_has_finite_reasons():
    why = explainer(lambda given: (given.numbers[:, :1] > 0).astype(float), np.array([[-1.0], [1.0]]), "log-odds")
    assert np.isfinite(why.explain(alone([1.0]), np.array([1.0])).contributions["x0"])


def test_what_is_no_finite_number_is_refused():
    with pytest.raises(ValueError, match="no finite number"):
        explainer(lambda given: given.numbers[:, :1] * np.inf, np.ones((2, 2))).explain(alone([1, 1]), np.array([1.0]))


def test_background_rows_are_spread_and_have_the_mean_of_all():
    outputs = np.random.default_rng(1).gamma(2.0, size=(5000, 1))
    chosen = outputs[reasons.choose("number", outputs)]
    assert len(chosen) == 16
    assert chosen.mean() == pytest.approx(outputs.mean(), rel=0.01)
    assert chosen.min() < np.quantile(outputs, 0.1) and chosen.max() > np.quantile(outputs, 0.9)
    assert len(reasons.choose("number", outputs[:3])) == 3


def test_background_rows_of_classes_have_the_mean_of_all():
    outputs = np.random.default_rng(1).dirichlet([1.0, 0.5, 2.0], size=3000)
    chosen = outputs[reasons.choose("log-odds", outputs)]
    mean = reasons.scores("log-odds", outputs).mean(axis=0)
    assert reasons.scores("log-odds", chosen).mean(axis=0) == pytest.approx(mean, abs=0.4)


def test_background_rows_are_the_models_input(folder, toy, toy_rows):
    rows = candidates.frame(toy, toy_rows())
    background = candidates.frame(toy, pd.DataFrame(reasons.read_background(folder)))
    assert len(background.merge(rows.drop_duplicates(), how="inner")) == len(background)
