"""A served model answers alone: without scikit-learn, pandas or MLflow, for one row and for many."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stack.serving.served import ServedModel, write_ranges
from stack.training import candidates
from stack.training.export import export


@pytest.fixture(scope="module")
def folder(toy, toy_rows, tmp_path_factory):
    rows = toy_rows()
    pipeline = candidates.fit(toy, "gradient_boosting", {"max_iter": 100}, rows)
    folder = tmp_path_factory.mktemp("model") / "served"
    export(pipeline, toy, folder, rows.head(200))
    return folder


ALONE = """
import json, sys
from pathlib import Path
from stack.serving.served import ServedModel
answer = ServedModel(Path(sys.argv[1])).predict(json.loads(sys.argv[2]))
heavy = {"sklearn", "mlflow", "pandas", "skops", "scipy"} & set(sys.modules)
print(json.dumps([answer.tolist(), sorted(heavy)]))
"""


def test_the_onnx_form_imports_nothing_heavy(folder):
    rows = {"wet": [1.5, None], "town_id": ["Oban", None], "cold": [-0.5, 0.1]}
    output = subprocess.run(
        [sys.executable, "-c", ALONE, str(folder), json.dumps(rows)], check=True, capture_output=True, text=True
    ).stdout
    answer, heavy = json.loads(output)
    assert heavy == []
    assert answer == ServedModel(folder).predict(rows).tolist()


def test_one_row_answers_as_it_does_among_many(folder, toy_rows):
    rows = toy_rows(50)
    model = ServedModel(folder)
    together = model.predict(rows)[:, 0]
    alone = [model.predict({name: [rows[name].iloc[at]] for name in model.columns})[0, 0] for at in range(len(rows))]
    assert together.tolist() == pytest.approx(alone, abs=1e-7)


def test_missing_values_have_many_names(folder):
    model = ServedModel(folder)
    rows = {"wet": [None, np.nan, float("nan")], "town_id": [None, np.nan, ""], "cold": [0.0, 0, np.float32(0)]}
    answer = model.predict(rows)
    assert answer.dtype == np.float64
    assert answer.shape == (3, 1)
    assert len(set(answer[:, 0].tolist())) == 1
    assert 0 < answer[0, 0] < 1


def test_columns_that_are_no_features_do_not_matter(folder, toy_rows):
    rows = toy_rows(20)
    model = ServedModel(folder)
    assert model.predict(rows).tolist() == model.predict(rows[list(model.columns)[::-1]]).tolist()


def test_no_rows_get_no_answers(folder):
    assert ServedModel(folder).predict({"wet": [], "town_id": [], "cold": []}).shape == (0, 1)


def test_a_missing_column_is_named(folder):
    with pytest.raises(KeyError, match="cold"):
        ServedModel(folder).predict({"wet": [1.0], "town_id": ["Bath"]})


def test_numbers_outside_the_range_of_training_are_told(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "served")
    frame = pd.DataFrame({"wet": [0.1, np.nan, 0.7, np.inf], "cold": np.nan}, dtype="float32")
    write_ranges(tmp_path / "served", frame, ["wet", "cold"])
    columns = {"wet": [0.1, 0.7, 0.71, -3e9, float("nan")], "town_id": ["Bath"] * 5, "cold": [1e9] * 5}
    within, also_within, above, below, missing = ServedModel(tmp_path / "served").outside(columns)
    assert within == also_within == missing == []
    assert above == ["wet: 0.71 is outside the range seen in training, 0.1 to 0.7"]
    assert below == ["wet: -3e+09 is outside the range seen in training, 0.1 to 0.7"]


def test_a_version_of_before_the_ranges_warns_of_none(folder):
    assert ServedModel(folder).outside({"wet": [9e9], "town_id": ["Bath"], "cold": [0.0]}) == [[]]


def test_a_folder_of_before_the_tasks_is_a_binary_one(folder, toy_rows, tmp_path):
    """Champions outlive an upgrade."""
    shutil.copytree(folder, tmp_path / "old")
    contract = json.loads((folder / "contract.json").read_text())
    kept = {key: contract[key] for key in ("form", "columns", "label", "threshold")}
    (tmp_path / "old" / "contract.json").write_text(json.dumps(kept))
    rows = toy_rows(20)
    assert ServedModel(tmp_path / "old").predict(rows).tolist() == ServedModel(folder).predict(rows).tolist()
