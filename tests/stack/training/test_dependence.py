"""The partial dependence of a model follows what the outcome depends on."""

import json

import numpy as np
import pandas as pd
import pytest

from stack.training import candidates, dependence


@pytest.fixture(scope="module")
def rows(toy_rows):
    return toy_rows(1500)


@pytest.fixture(scope="module")
def pipeline(toy, rows):
    return candidates.fit(toy, "linear", {"C": 0.1}, rows)


def test_the_mean_prediction_is_that_of_the_rows_with_one_value(toy, rows, pipeline):
    features = candidates.frame(toy, rows).head(50)
    curves = dependence.partial_dependence(pipeline, toy, features, ["wet", "town_id"])
    wet, town = curves["wet"], curves["town_id"]
    assert wet["values"] == sorted(wet["values"]) and len(wet["values"]) == 12
    assert wet["probability"] == sorted(wet["probability"])
    assert set(town["values"]) == {"Bath", "Cork", "Oban"}
    assert town["values"][int(np.argmax(town["probability"]))] == "Oban"
    expected = pipeline.predict_proba(features.assign(town_id="Oban"))[:, 1].mean()
    assert town["probability"][town["values"].index("Oban")] == pytest.approx(expected)


def test_the_most_important_features_are_written_and_drawn(toy, rows, pipeline, tmp_path):
    features = candidates.frame(toy, rows).assign(cold=np.float32("nan"))
    importances = pd.DataFrame({"column": ["wet", "town_id", "cold"]})
    curves = dependence.write(pipeline, toy, features, importances, tmp_path)
    assert list(curves) == ["wet", "town_id", "cold"] and curves["cold"]["values"] == [None]
    assert list(json.loads((tmp_path / "dependence.json").read_text())) == list(curves)
    assert (tmp_path / "plots/dependence.png").read_bytes()[:4] == b"\x89PNG"
