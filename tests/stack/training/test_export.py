"""The served form answers as the trained pipeline does, on rows it will meet and on rows it should not."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, VotingClassifier
from sklearn.preprocessing import FunctionTransformer

from stack.core.errors import StackError
from stack.specification import tasks
from stack.training import candidates
from stack.training.export import export


def fitted(spec, rows, name="gradient_boosting", **params):
    centre = candidates.available(named(spec, name), len(rows))[name].initial_params
    return candidates.fit(spec, name, {**centre, **params}, rows)


def named(spec, name):
    return spec.model_copy(update={"training": spec.training.model_copy(update={"candidates": [name]})})


def strange(rows):
    """Rows with what a caller may send: unknown and missing categories, missing, huge and infinite numbers."""
    rows = rows.copy()
    rows.loc[rows.index % 5 == 0, "town_id"] = "Atlantis"
    rows.loc[rows.index % 7 == 0, "town_id"] = None
    rows.loc[rows.index % 3 == 0, "cold"] = np.nan
    rows.loc[rows.index % 11 == 0, "wet"] = 1e30
    return rows


@pytest.mark.parametrize("name", ["gradient_boosting", "linear", "lightgbm", "xgboost"])
def test_onnx_answers_as_the_pipeline(toy, toy_rows, tmp_path, name):
    rows = toy_rows()
    pipeline = fitted(toy, rows, name)
    model = export(pipeline, toy, tmp_path / "served", rows.head(500))
    assert model.form == "onnx"
    others = strange(toy_rows(5000, seed=9))
    wanted = pipeline.predict_proba(candidates.frame(toy, others))[:, 1:]
    assert np.abs(model.predict(others) - wanted).max() <= 1e-5


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("gradient_boosting", {"max_iter": 5, "max_features": 1.0}),
        ("lightgbm", {"n_estimators": 5, "feature_fraction_bynode": 1.0}),
        ("xgboost", {"n_estimators": 5, "colsample_bynode": 1.0}),
    ],
)
def test_a_value_next_to_a_threshold_goes_the_same_way(toy, toy_rows, tmp_path, name, params):
    """Neighbouring float32 values: their midpoint, a threshold in float64, rounds onto one of them."""
    rows = toy_rows()
    low = np.float32(1)
    steps = [low := np.nextafter(low, np.float32(2)) for _ in range(6)]
    rows["cold"] = np.resize(steps, len(rows)).astype("float32")
    rows["rain"] = (np.arange(len(rows)) % 6 >= 3).astype(int)
    pipeline = fitted(toy, rows, name, **params)
    model = export(pipeline, toy, tmp_path / "served", rows.head(50))
    wanted = pipeline.predict_proba(candidates.frame(toy, rows))[:, 1:]
    assert model.form == "onnx"
    assert np.abs(model.predict(rows) - wanted).max() <= 1e-5


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(("task", "classes"), [("multiclass", ["dry", "wet", "soaked"]), ("regression", [])])
def test_boosters_are_served_without_their_library(toy, toy_rows, tmp_path, name, task, classes):
    rows, others = toy_rows(1500), strange(toy_rows(3000, seed=9))
    score = rows["wet"].fillna(0) - rows["cold"]
    rows["rain"] = np.digitize(score, [-1, 1]) if classes else 5e4 + 1000 * score
    spec = toy.model_copy(update={"task": task, "classes": classes})
    pipeline = fitted(spec, rows, name)
    export(pipeline, spec, tmp_path / "served", rows.head(300))
    np.save(tmp_path / "wanted.npy", tasks.of(spec).predict(pipeline, candidates.frame(spec, others)))
    others.to_parquet(tmp_path / "rows.parquet")
    code = (
        "import sys; sys.modules.update(lightgbm=None, xgboost=None, onnxmltools=None)\n"
        "from pathlib import Path; import numpy, pandas; from stack.serving.served import ServedModel\n"
        "folder = Path(sys.argv[1]); model = ServedModel(folder / 'served')\n"
        "wanted = numpy.load(folder / 'wanted.npy')\n"
        "off = abs(model.predict(pandas.read_parquet(folder / 'rows.parquet')) - wanted).max() / abs(wanted).max()\n"
        "assert model.form == 'onnx' and off <= 1e-5, off"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_a_vote_of_boosted_models_is_served_by_onnx(toy, toy_rows, tmp_path):
    rows, others = toy_rows(1500), strange(toy_rows(3000, seed=9))
    pipeline = fitted(toy, rows)
    parts = [(str(at), HistGradientBoostingClassifier(max_iter=30, random_state=at)) for at in range(2)]
    pipeline.steps[-1] = ("model", VotingClassifier(parts, voting="soft"))
    pipeline.fit(candidates.frame(toy, rows), rows["rain"].astype(int))
    model = export(pipeline, toy, tmp_path / "served", rows.head(300))
    wanted = pipeline.predict_proba(candidates.frame(toy, others))[:, 1:]
    assert model.form == "onnx"
    assert np.abs(model.predict(others) - wanted).max() <= 1e-5
    assert pipeline[-1].flatten_transform, "the fitted pipeline is left as it is"


def test_what_has_no_converter_is_served_by_skops(toy, toy_rows, tmp_path):
    rows = toy_rows(600)
    model = export(fitted(toy, rows, "dummy"), toy, tmp_path / "served", rows)
    assert model.form == "skops"
    assert model.predict(rows)[:, 0] == pytest.approx(rows["rain"].mean())


def test_what_converts_wrongly_is_not_served(toy, toy_rows, tmp_path):
    """ONNX trees have no split on a set: skl2onnx turns native categories into a comparison, silently."""
    rows = toy_rows()
    pipeline = fitted(toy, rows)
    model = HistGradientBoostingClassifier(categorical_features=[2], max_iter=20, random_state=7)
    pipeline.steps[-1] = ("model", model)
    pipeline.fit(candidates.frame(toy, rows), rows["rain"])
    with pytest.raises(StackError, match="onnx: predictions differ by"):
        export(pipeline, toy, tmp_path / "served", rows.head(500))
    assert not (tmp_path / "served").exists()


def test_code_of_the_user_is_refused(toy, toy_rows, tmp_path):
    """A function would have to be run from the model file."""
    rows = toy_rows(600)
    pipeline = fitted(toy, rows)
    pipeline.steps.insert(1, ("mine", FunctionTransformer(abs_of)))
    with pytest.raises(StackError, match="served form of toy") as error:
        export(pipeline, toy, tmp_path / "served", rows)
    assert "skops: UntrustedTypesFoundException" in error.value.found
    assert not (tmp_path / "served").exists()


def abs_of(values):
    return np.abs(values)


def test_the_contract_names_the_columns_of_the_project(toy, toy_rows, tmp_path):
    rows = toy_rows(600)
    contract = export(fitted(toy, rows), toy, tmp_path / "served", rows).contract
    assert contract.columns == toy.features.columns
    assert (contract.label, contract.threshold) == ("rain", 0.5)
    assert (contract.task, contract.outputs) == ("binary", ("probability",))
