"""An outcome, a class and a number: each is searched, measured, refitted and served as it was trained."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stack.serving.reasons import scores
from stack.serving.served import ServedModel
from stack.specification import specs
from stack.training import candidates, splits, training
from stack.training.evaluation import Scorer
from stack.training.search import search

CUTOFF = pd.Timestamp("2024-02-01", tz="UTC")


def spec_of(task, **training):
    return specs.parse(
        {
            "name": "iris",
            "title": "What grows here?",
            "task": task,
            "label": "grows",
            "classes": {"multiclass": ["moss", "fern", "oak"], "binary": ["no", "yes"], "regression": []}[task],
            "tables": {"plots": {"key": ["plot"], "snapshot": True}},
            "request": {"soil": {"type": "string", "description": "Soil", "example": "clay"}},
            "features": {"service": "iris_v1", "columns": {"rain": "number", "soil": "category", "sun": "number"}},
            "training": {"split": "random", "trials": 3, "folds": 2} | training,
            "gate": {"slices": {"soil": 0.5}},
        },
        Path("projects/iris/project.yaml"),
    )


def rows_of(task, count=600, seed=3):
    """A small table without time; what grows follows from rain, sun and soil, and some chance."""
    random = np.random.default_rng(seed)
    rain, sun, noise = random.normal(size=(3, count))
    soil = random.choice(["clay", "sand"], count)
    height = 40 * rain - 25 * sun + 30 * (soil == "clay") + 8 * noise + 200
    label = {
        "binary": (height > 215).astype(float),
        "multiclass": np.digitize(height, [185, 235]).astype(float),
        "regression": height,
    }[task]
    rain[random.uniform(size=count) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "event_id": [f"plot-{number}" for number in range(count)],
            "event_timestamp": CUTOFF,
            "label_available_at": CUTOFF,
            "rain": rain.astype("float32"),
            "sun": sun.astype("float32"),
            "soil": soil,
            "grows": label,
        }
    )


TASKS = ["binary", "multiclass", "regression"]


@pytest.fixture(scope="module", params=TASKS)
def trained(request, tmp_path_factory):
    """Specification, split, the trials, the best one, and what a training writes about it."""
    spec, rows, folder = spec_of(request.param), rows_of(request.param), tmp_path_factory.mktemp(request.param)
    split = splits.holdout(spec, rows, CUTOFF)
    tried = []
    best = search(spec, split, tried.append)
    metrics = training.evaluate(spec, split, best, folder)
    training.refit(spec, rows, best, folder)
    return spec, split, tried, metrics, folder


def test_a_model_beats_the_constant_answer(trained):
    spec, split, tried, metrics, _ = trained
    assert len(tried) == 4
    assert tried[0].candidate == "dummy"
    assert min(trial.loss for trial in tried) < 0.6 * tried[0].loss
    assert metrics["skill" if spec.task == "regression" else "brier_skill"] > 0.5
    assert metrics["rows"] == len(split.test) == pytest.approx(150, abs=2)
    assert f"{Scorer.of(spec).headline[0]}.soil.clay" in metrics


def test_the_holdout_is_measured_by_a_model_that_has_not_seen_it(trained):
    spec, split, _, metrics, folder = trained
    judge, rows = Scorer.of(spec), pd.read_parquet(folder / "holdout" / "holdout.parquet")
    assert set(rows["event_id"]) == set(split.test["event_id"])
    baseline = judge.task.baseline(split.fit["grows"])
    recomputed = judge.metrics(rows["grows"], rows[list(judge.task.outputs)].to_numpy(), baseline)
    assert recomputed == pytest.approx({name: metrics[name] for name in recomputed}, abs=1e-12)


def test_the_plots_are_those_of_the_task(trained):
    spec, _, _, _, folder = trained
    wanted = {"binary": {"calibration", "roc"}, "multiclass": {"confusion"}, "regression": {"predicted", "residuals"}}
    assert {path.stem for path in (folder / "plots").iterdir()} == wanted[spec.task] | {"importance", "dependence"}


def test_the_served_form_is_the_refitted_one(trained):
    spec, _, _, _, folder = trained
    reference, model = pd.read_parquet(folder / "reference" / "reference.parquet"), ServedModel(folder / "served")
    answer, task = model.predict(reference), Scorer.of(spec).task
    assert answer.shape == (600, len(task.outputs))
    assert task.difference(answer, reference[list(task.outputs)]) <= 1e-5
    assert (model.form, model.outputs) == ("onnx", task.outputs)


@pytest.mark.parametrize("name", ["gradient_boosting", "linear", "dummy"])
@pytest.mark.parametrize("task", TASKS)
def test_every_candidate_is_served_as_trained(tmp_path, task, name):
    """On rows it was not fitted on, with a soil that is unknown and missing numbers."""
    spec, rows, others = spec_of(task), rows_of(task), rows_of(task, 300, seed=9)
    best = training.TrialResult(1, name, dict(candidates.available(spec, len(rows))[name].initial_params))
    pipeline = training.refit(spec, rows, best, tmp_path)
    others.loc[::3, "soil"] = "chalk"
    others.loc[::4, "sun"] = np.nan
    served, judge = ServedModel(tmp_path / "served"), Scorer.of(spec)
    wanted = judge.task.predict(pipeline, candidates.frame(spec, others))
    assert judge.task.difference(served.predict(others), wanted) <= 1e-5
    assert served.form == ("skops" if name == "dummy" else "onnx")
    if spec.classes:
        assert (served.predict(others) >= 0).all()
    some = others.head(12)
    answers = served.predict(some)
    for answer, why in zip(answers, served.explain(some, answers), strict=True):
        decided = scores(why.unit, answer)[answer.argmax()]
        assert why.base + sum(why.contributions.values()) == pytest.approx(decided, abs=1e-6)
    if task == "multiclass":
        assert served.predict(others).sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_number_is_as_far_off_as_it_says(trained):
    """Predicted heights miss by the noise that no model can know, and little more."""
    spec, _, _, metrics, _ = trained
    if spec.task == "regression":
        assert 8 < metrics["rmse"] < 25
        assert abs(metrics["bias"]) < 5


def test_trials_repeat_themselves(trained):
    spec, split, tried, _, _ = trained
    again = []
    search(spec, split, again.append)
    assert again == tried
