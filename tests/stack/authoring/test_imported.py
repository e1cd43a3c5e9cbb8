"""A model that another tool has trained becomes a project, or is refused with the reason."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest

from stack.authoring.imported import project, version
from stack.authoring.imported.columns import Wishes
from stack.core.errors import StackError
from stack.core.settings import Settings, using
from stack.serving.served import ServedModel
from stack.specification import specs
from tests.stack.authoring import foreign


@pytest.fixture
def settings(tmp_path) -> Iterator[Settings]:
    """An empty workspace."""
    (tmp_path / "workspace" / "projects").mkdir(parents=True)
    own = Settings(home=tmp_path / "home", workspace=tmp_path / "workspace")
    with using(own):
        yield own


@pytest.fixture
def sample(tmp_path) -> Path:
    foreign.customers().to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def example(tmp_path, **values) -> Path:
    (tmp_path / "row.json").write_text(json.dumps(values))
    return tmp_path / "row.json"


def imported(settings, place, **wishes):
    """Read a model, write its project and its served form."""
    asked = Wishes(**wishes)
    model = project.read("guest", str(place), asked, settings)
    if "guest" not in specs.names():
        project.write("guest", model, asked)
    return model, specs.load("guest")


def served(settings, tmp_path, place, **wishes) -> ServedModel:
    from stack.project import Project

    model, spec = imported(settings, place, **wishes)
    return version.served_form(Project(settings, spec), model, tmp_path / "served")


def test_a_pipeline_of_scikit_learn_answers_as_it_did_there(settings, tmp_path, sample):
    """An input a column, of three types, and probabilities in dictionaries."""
    model, rows = foreign.pipeline(tmp_path / "churn.onnx"), foreign.customers(seed=5)
    form = served(settings, tmp_path, tmp_path / "churn.onnx", sample=sample, label="left")
    spec = specs.load("guest")
    assert (spec.task, spec.classes, spec.label, spec.imported) == ("binary", [], "left", True)
    assert {name: (field.type, field.known) for name, field in spec.request.items()} == {
        "age_years": ("number", []),
        "visits": ("integer", []),
        "town": ("string", ["Bath", "Cork", "Oban"]),
    }
    assert spec.request["age_years"].example == foreign.customers()["Age (years)"].iloc[0]
    columns = {"age_years": rows["Age (years)"], "visits": rows["visits"], "town": rows["town"]}
    expected = model.predict_proba(rows[["Age (years)", "visits", "town"]])[:, 1:]
    assert form.predict(columns) == pytest.approx(expected, abs=1e-6)
    (reasons,) = form.explain({name: values[:1] for name, values in columns.items()}, form.predict(columns)[:1])
    odds = np.log(expected[0, 0] / (1 - expected[0, 0]))
    assert reasons.base + sum(reasons.contributions.values()) == pytest.approx(odds, abs=1e-4)


def test_a_model_of_lightgbm_names_its_classes(settings, tmp_path):
    model, rows = foreign.booster(tmp_path / "sky.onnx")
    row = example(tmp_path, **rows.iloc[0])
    form = served(settings, tmp_path, tmp_path / "sky.onnx", example=row, label="sky")
    assert specs.load("guest").classes == ["dry", "storm", "wet"]
    assert form.outputs == ("probability_dry", "probability_storm", "probability_wet")
    assert form.predict(rows) == pytest.approx(model.predict_proba(rows.to_numpy()), abs=1e-6)


def test_logits_become_probabilities(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx")
    form = served(settings, tmp_path, tmp_path / "made.onnx", example=example(tmp_path, a=1, b=0.5))
    logits = np.array([[0.5, 2.0, 3.5]])  # (1, 0.5) @ [[-1, 0, 1], [2, 3, 4]] is (0, 1.5, 3)
    powers = np.exp(logits - 0.5)
    assert form.contract.link == "softmax"
    assert form.predict({"a": [1.0], "b": [0.5]}) == pytest.approx(powers / powers.sum(), abs=1e-6)


@pytest.mark.parametrize(
    ("width", "last", "wishes", "task", "link"),
    [
        (1, "", {}, "regression", ""),
        (1, "Sigmoid", {}, "binary", ""),
        (1, "", {"task": "binary"}, "binary", "sigmoid"),
        (2, "", {"classes": "no,yes"}, "binary", "softmax"),
        (4, "Softmax", {}, "multiclass", ""),
    ],
)
def test_the_output_says_what_is_predicted(settings, tmp_path, width, last, wishes, task, link):
    foreign.linear(tmp_path / "made.onnx", width, last)
    model, spec = imported(settings, tmp_path / "made.onnx", example=example(tmp_path, a=1, b=0.5), **wishes)
    assert (spec.task, model.meaning.link) == (task, link)
    assert spec.classes == {2: ["no", "yes"], 4: [0, 1, 2, 3]}.get(width, [])


def test_without_a_row_the_model_names_its_columns(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx")
    _, spec = imported(settings, tmp_path / "made.onnx")
    assert {name: field.example for name, field in spec.request.items()} == {"x_0": 0.0, "x_1": 0.0}


def test_the_next_version_takes_the_same_requests(settings, tmp_path, sample):
    foreign.pipeline(tmp_path / "one.onnx")
    foreign.pipeline(tmp_path / "two.onnx", seed=1)
    imported(settings, tmp_path / "one.onnx", sample=sample, label="left")
    before = (settings.projects / "guest" / "project.yaml").read_text()
    imported(settings, tmp_path / "two.onnx")
    assert (settings.projects / "guest" / "project.yaml").read_text() == before
    foreign.linear(tmp_path / "other.onnx")
    with pytest.raises(StackError, match="2 columns for x"):
        imported(settings, tmp_path / "other.onnx")


def test_a_model_of_other_classes_is_another_project(settings, tmp_path, sample):
    foreign.pipeline(tmp_path / "one.onnx")
    foreign.pipeline(tmp_path / "two.onnx", lambda rows: np.where(rows["left"] == 1, "yes", "no"))
    imported(settings, tmp_path / "one.onnx", sample=sample, label="left")
    with pytest.raises(StackError, match="binary no, yes"):
        imported(settings, tmp_path / "two.onnx")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"batch": 1}, "a first axis of 1.*free first axis.*FloatTensorType"),
        ({"domain": "my.ops"}, "operator MatMul of the domain my.ops"),
        ({"opset": 99}, "opset 99.*or less.*target_opset"),
        ({"last": "Nonsense"}, "Nonsense.*onnx.checker"),
    ],
)
def test_what_cannot_be_served_is_refused(settings, tmp_path, made, words):
    foreign.linear(tmp_path / "made.onnx", **made)
    refused(settings, tmp_path / "made.onnx", words)


def refused(settings, place, words, **wishes):
    with pytest.raises(StackError, match=f"(?s){words}"):
        imported(settings, place, **wishes)
    assert not specs.names()


def test_weights_in_other_files_are_refused(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx")
    model = onnx.load(tmp_path / "made.onnx")
    onnx.save(model, tmp_path / "split.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    refused(settings, tmp_path / "split.onnx", "weights in other files, as of weights.*one.onnx")


def test_another_file_is_refused(settings, tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04K\x01.")
    refused(settings, tmp_path / "model.pkl", "no ONNX.*skl2onnx")
    refused(settings, tmp_path / "absent.onnx", "No such file")


def test_rows_that_do_not_fit_are_refused(settings, tmp_path, sample):
    foreign.linear(tmp_path / "made.onnx")
    refused(settings, tmp_path / "made.onnx", "2 columns.*", example=example(tmp_path, a=1, b=2, c=3))
    foreign.pipeline(tmp_path / "churn.onnx")
    row = example(tmp_path, **{"Age (years)": 41, "trips": 1, "place": "Bath"})
    refused(settings, tmp_path / "churn.onnx", "trips.*a column visits, a column town", example=row)
    refused(settings, tmp_path / "made.onnx", "column b.*type number", example=example(tmp_path, a=1, b="x"))
    rows = foreign.customers().assign(visits=lambda rows: rows["visits"].where(rows.index > 3))
    rows.to_csv(sample, index=False)
    refused(settings, tmp_path / "churn.onnx", "visits.*4 missing values", sample=sample, label="left")


def test_a_folder_of_mlflow_brings_the_names_of_its_columns(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx")
    signature = {"inputs": json.dumps([{"name": "wide", "type": "float"}, {"name": "High Up", "type": "float"}])}
    write_folder(tmp_path / "model", {"onnx": {"data": "model.onnx"}}, signature)
    (tmp_path / "made.onnx").rename(tmp_path / "model" / "model.onnx")
    _, spec = imported(settings, tmp_path / "model")
    assert [*spec.request] == ["wide", "high_up"]


def test_a_pickle_is_refused(settings, tmp_path):
    write_folder(tmp_path / "model", {"sklearn": {"pickled_model": "model.pkl"}, "python_function": {}})
    refused(settings, tmp_path / "model", "python_function, sklearn.*runs code.*convert it where it was made")


def write_folder(folder: Path, flavours: dict, signature: dict | None = None) -> None:
    folder.mkdir()
    (folder / "MLmodel").write_text(json.dumps({"flavors": flavours, "signature": signature}))


def test_a_project_that_trains_is_left_alone(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx")
    _, spec = imported(settings, tmp_path / "made.onnx")
    file = spec.folder / "project.yaml"
    file.write_text(file.read_text().replace("imported: true\n", ""))
    with pytest.raises(StackError, match="which trains its models"):
        imported(settings, tmp_path / "made.onnx")


def test_gaps_of_a_sample_may_come_in_requests_too(settings, tmp_path):
    foreign.linear(tmp_path / "made.onnx", 1)
    rows = pd.DataFrame({"a": range(40), "b": [None, 2.0] * 20})
    rows.to_csv(tmp_path / "rows.csv", index=False)
    _, spec = imported(settings, tmp_path / "made.onnx", sample=tmp_path / "rows.csv")
    assert [field.nullable for field in spec.request.values()] == [False, True]
