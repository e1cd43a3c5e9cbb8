"""A model that is badly calibrated on purpose is calibrated on the folds, and served as it was measured."""

import json
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.reproduce import steps
from stack.serving.served import ServedModel
from stack.specification import calibration as curve
from stack.specification import specs, tasks
from stack.training import calibration, candidates, splits, training
from stack.training.search import search
from tests.stack.conftest import DAYS, START

OVERFIT = {"max_iter": 150, "learning_rate": 0.12, "max_leaf_nodes": 31, "min_samples_leaf": 3}


@pytest.fixture
def badly(toy):
    """The toy project with trees that know every row by heart, and so are far too sure of the others."""
    own = {"candidates": ["gradient_boosting"], "initial_params": {"gradient_boosting": OVERFIT}, "trials": 1}
    return toy.model_copy(update={"training": toy.training.model_copy(update=own)})


@pytest.fixture
def split(toy, toy_rows):
    return splits.holdout(toy, toy_rows(), START + timedelta(days=DAYS, hours=6))


def plain(spec):
    return spec.model_copy(update={"training": spec.training.model_copy(update={"calibrate": False})})


def test_a_calibrated_model_is_measured_and_served_with_its_calibration(badly, split, tmp_path):
    best = search(badly, split, lambda _: None)
    (x, y), (x2, y2) = best.calibration[0], best.calibration[-1]
    assert 0 < (y2 - y) / (x2 - x) < 0.5, "the log-odds are less than half of what the model says"
    pipeline = candidates.fit(badly, best.candidate, best.params, split.fit)
    answer = tasks.of(badly).predict(pipeline, candidates.frame(badly, split.test))
    before = tasks.of(badly).metrics(split.test["rain"], answer, [0.5])
    after = training.evaluate(badly, split, best, tmp_path)
    assert after["log_loss"] < before["log_loss"] - 0.02
    assert after["auc"] == pytest.approx(before["auc"], abs=0.01)
    assert abs(after["bias"]) < 0.05
    training.refit(badly, split.fit, best, tmp_path)
    model = ServedModel(tmp_path / "served")
    assert model.form == "onnx"
    rows = pd.read_parquet(tmp_path / "reference" / "reference.parquet")
    assert tasks.of(badly).difference(model.predict(rows), rows[["probability"]]) <= 1e-5
    answers = model.predict(rows.head(3))
    for answer, why in zip(answers, model.explain(rows.head(3), answers), strict=True):
        total = 1 / (1 + np.exp(-why.base - sum(why.contributions.values())))
        assert total == pytest.approx(answer[0], abs=1e-6)
    steps.write_choice(best, tmp_path)
    assert json.loads(json.dumps(steps.read_choice(tmp_path).calibration)) == [
        list(point) for point in best.calibration
    ]


def test_a_model_that_is_well_calibrated_stays_as_it_is(toy, split, tmp_path):
    training_of = toy.training.model_copy(update={"candidates": ["linear"], "trials": 2})
    spec = toy.model_copy(update={"training": training_of})
    compared, left_out = search(spec, split, lambda _: None), search(plain(spec), split, lambda _: None)
    assert (compared.calibration, compared.calibration_gain) == ((), 0.0)
    assert (left_out.calibration, left_out.calibration_gain) == ((), None), "none is compared"
    random = np.random.default_rng(0)
    answers = [random.uniform(0.05, 0.95, 1000) for _ in range(4)]
    labels = [(random.uniform(size=1000) < answer).astype(float) for answer in answers]
    assert calibration.choose(labels, answers).points == ()
    assert calibration.choose(labels[:1], answers[:1]).points == (), "of one fold nothing can be said"


def test_a_gain_that_may_be_chance_calibrates_nothing():
    """Answers that are right are calibrated in one of twenty samples at most, though two folds agree more often."""
    chosen = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        answers = [random.uniform(0.05, 0.95, 300) for _ in range(2)]
        labels = [(random.uniform(size=300) < answer).astype(float) for answer in answers]
        chosen += bool(calibration.choose(labels, answers).points)
    assert chosen <= 3


def test_a_constant_answer_stays_as_it_is():
    labels = [np.tile([0.0, 1.0, 1.0], 200)] * 2
    assert calibration.choose(labels, [np.full(600, 0.1)] * 2).points == ()


def test_what_no_sigmoid_mends_is_mended_by_isotonic_regression():
    random = np.random.default_rng(0)
    truth = [random.uniform(0.02, 0.98, 4000) for _ in range(2)]
    labels = [(random.uniform(size=4000) < part).astype(float) for part in truth]
    answers = [np.where(part < 0.5, part / 10, part) for part in truth]
    chosen = calibration.choose(labels, answers)
    points = chosen.points
    assert len(points) > 2
    assert chosen.gain > 0.1
    assert "an isotonic regression, which lowers" in str(chosen)
    found = curve.apply(points, answers[0])
    assert abs(found - truth[0]).mean() < 0.03
    assert (np.diff(found[np.argsort(answers[0])]) >= 0).all()
    assert curve.apply((), answers[0]) == pytest.approx(answers[0], abs=0)


def test_the_curve_goes_on_beyond_its_points_and_keeps_the_shape():
    probability = np.array([[0.0], [0.01], [0.5], [0.99], [1.0]])
    assert curve.apply(((-1, -1), (1, 1)), probability) == pytest.approx(probability.clip(1e-6, 0.999))


def test_a_number_is_not_calibrated(toy):
    raw = json.loads(toy.model_dump_json(exclude_defaults=True)) | {"task": "regression"}
    raw["training"]["calibrate"] = True
    with pytest.raises(StackError, match=r"training\.calibrate"):
        specs.parse(raw, specs.Path("projects/toy/project.yaml"))
