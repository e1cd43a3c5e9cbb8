"""A training leaves a challenger with all that describes it, and with the same model each time."""

import json
import os
from collections import Counter
from datetime import timedelta

import mlflow
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.features.sampling import KNOWN
from stack.project import Project
from stack.promotion import challengers, gate
from stack.registry import artifacts
from stack.serving.served import ServedModel
from stack.specification.costs import Costs
from stack.training.training import TrainingSet
from tests.stack.conftest import DAYS, START
from tests.stack.messages import messages, messages_spec

CUTOFF = (START + timedelta(days=DAYS, hours=6)).to_pydatetime()


def train(settings, spec, rows, report=lambda _: None, cutoff=CUTOFF):
    return challengers.train(Project(settings, spec), TrainingSet(rows, cutoff, "3f2a", "c0de"), report)


@pytest.fixture(scope="module")
def client(tracked):
    return mlflow.MlflowClient(tracked.mlflow_url)


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module", autouse=True)
def no_address_in_the_environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def trained(tracked, toy, toy_rows, lines):
    return train(tracked, toy, toy_rows(), lines.append)


def test_the_challenger_is_the_version_that_was_trained(tracked, toy, trained):
    version = Project(tracked, toy).registry.challenger()
    assert (version.version, version.run_id) == (trained.version, trained.run_id)
    assert (
        version.tags.items()
        >= {
            "stack.project": "toy",
            "stack.data_revision": "3f2a",
            "stack.cutoff": CUTOFF.isoformat(),
            "stack.feature_service": "toy_v1",
            "stack.code_version": "c0de",
            "stack.seed": "7",
            "auc": f"{trained.metrics['auc']:.4f}",
        }.items()
    )
    assert Project(tracked, toy).registry.champion() is None
    assert "MLFLOW_TRACKING_URI" not in os.environ


def test_the_run_holds_figures_and_files(client, trained):
    run = client.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.tags["stack.kind"] == "training"
    assert run.data.metrics["auc"] == pytest.approx(trained.metrics["auc"], abs=1e-9)
    assert {"auc.town_id.Bath", "brier_skill", "log_loss"} <= set(run.data.metrics)
    assert run.data.params["candidate"] in ("gradient_boosting", "linear")
    files = {entry.path for entry in client.list_artifacts(trained.run_id)}
    assert files >= {"served", "reference", "holdout", "plots", "importance.csv", "dependence.json", "recipe"}


def test_each_candidate_is_a_nested_run(client, toy, trained, lines):
    experiment = client.get_experiment_by_name("toy").experiment_id
    runs = client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{trained.run_id}'")
    assert Counter(run.data.tags["stack.kind"] for run in runs) == {"trial": toy.training.trials + 1}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["stack.data_revision"] for run in runs} == {"3f2a"}
    assert min(run.data.metrics["log_loss"] for run in runs) < 0.55
    assert sum(line.startswith("trial") for line in lines) == toy.training.trials


def test_the_holdout_metrics_are_those_of_its_rows(tracked, toy, trained):
    rows = artifacts.holdout(tracked, Project(tracked, toy).registry.challenger())
    assert len(rows) == trained.metrics["rows"]
    assert ((rows["probability"] - rows["rain"]) ** 2).mean() == pytest.approx(trained.metrics["brier"], abs=1e-12)
    boundary = pd.Timestamp(Project(tracked, toy).registry.challenger().tag("stack.boundary"))
    assert rows["event_timestamp"].min() > boundary
    assert trained.metrics["auc"] > 0.7


def test_the_served_form_answers_as_the_reference_says(tracked, toy, trained, tmp_path):
    version = Project(tracked, toy).registry.challenger()
    artifacts.fetch(tracked, version, tmp_path / "served")
    reference = artifacts.reference(tracked, version)
    answer = ServedModel(tmp_path / "served").predict(reference)[:, 0]
    assert abs(answer - reference["probability"]).max() <= 1e-5


def test_the_recipe_names_what_the_outcome_depends_on(tracked, toy, trained):
    with artifacts.folder(tracked, Project(tracked, toy).registry.challenger(), "recipe") as path:
        recipe = json.loads((path / "recipe.json").read_text())
    assert recipe["cutoff"] == CUTOFF.isoformat()
    assert recipe["since"] == Project(tracked, toy).registry.challenger().tag("stack.since")
    assert recipe["training"]["seed"] == 7
    assert recipe["packages"]["scikit-learn"]


def test_the_same_rows_in_another_order_give_the_same_model(tracked, toy, toy_rows, trained):
    again = train(tracked, toy, toy_rows().sample(frac=1, random_state=5))
    assert again.run_id != trained.run_id
    assert again.metrics == pytest.approx(trained.metrics, abs=1e-9)


def test_a_label_from_after_the_cut_off_is_refused(tracked, toy, toy_rows):
    with pytest.raises(StackError, match="rows whose label became known after"):
        train(tracked, toy, toy_rows(), cutoff=CUTOFF - timedelta(hours=7))


def test_an_outcome_that_is_no_outcome_is_refused(tracked, toy, toy_rows):
    with pytest.raises(StackError) as error:
        train(tracked, toy, toy_rows().assign(rain=2))
    assert (error.value.found, error.value.expected) == ("2", "positions of classes, 0 to 1")


def test_a_training_that_fails_leaves_no_challenger(tracked, toy, toy_rows, trained, client):
    before = Project(tracked, toy).registry.challenger().version

    def report(line):
        if line.startswith("holdout"):
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        train(tracked, toy, toy_rows(), report)
    assert Project(tracked, toy).registry.challenger().version == before
    last = client.search_runs([client.get_experiment_by_name("toy").experiment_id], "tags.`stack.kind` = 'training'")[0]
    assert (last.info.status, last.data.tags["stack.error"]) == ("FAILED", "the disk is full")


def test_a_training_that_was_killed_is_closed_by_the_next(tracked, toy, toy_rows, trained, client):
    experiment = client.get_experiment_by_name("toy").experiment_id
    killed = client.create_run(experiment, tags={"stack.kind": "training"}).info.run_id
    train(tracked, toy, toy_rows())
    assert client.get_run(killed).info.status == "KILLED"


def test_the_registered_model_answers_with_every_probability(tracked, toy, toy_rows, trained, monkeypatch):
    """As `mlflow models serve` loads it. MLflow calls skops unsafe too, as it trusts the types that the model names."""
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracked.mlflow_url)
    loaded = mlflow.pyfunc.load_model(f"models:/toy/{trained.version}")
    rows = toy_rows(40, seed=8)
    answer = loaded.predict(rows[["wet", "town_id", "cold"]])
    assert answer.shape == (40, 2)
    assert answer.sum(axis=1) == pytest.approx(1)
    assert loaded.metadata.flavors["sklearn"]["serialization_format"] == "skops"


def test_a_training_on_some_of_the_rows_says_so(toy, toy_rows):
    rows = toy_rows(100)
    assert "stack.limited" not in TrainingSet(rows, CUTOFF, "3f2a", "c0de").tags(toy)
    rows.attrs[KNOWN] = 5000
    tags = TrainingSet(rows, CUTOFF, "3f2a", "c0de").tags(toy)
    assert tags["stack.limited"] == "100 of 5,000 labelled rows, by training.max_rows"


@pytest.mark.parametrize(("name", "package"), [("lightgbm", "lightgbm"), ("xgboost", "xgboost-cpu")])
def test_a_booster_is_logged_as_data_with_its_package(tracked, toy, toy_rows, name, package):
    training = toy.training.model_copy(update={"candidates": [name], "trials": 1})
    spec = toy.model_copy(update={"name": f"toy_{name}", "training": training})
    train(tracked, spec, toy_rows(800))
    version = Project(tracked, spec).registry.challenger()
    with artifacts.folder(tracked, version, "recipe") as path:
        recipe = json.loads((path / "recipe.json").read_text())
    assert recipe["params"]["n_estimators"] > 0
    assert {package, "onnxmltools"} <= set(recipe["packages"])
    mlflow.set_tracking_uri(tracked.mlflow_url)
    try:
        assert mlflow.sklearn.load_model(f"models:/toy_{name}/{version.version}")[-1].n_estimators > 0
    finally:
        mlflow.set_tracking_uri(None)


def test_a_model_of_texts_and_encoded_categories_passes_the_gate(tracked):
    """MLflow has it by skops, of which some types are trusted by name."""
    columns = messages_spec().columns
    sender = columns["sender"].model_copy(update={"encode": "target"})
    raw = {key: column.model_dump(exclude_unset=True) for key, column in (columns | {"sender": sender}).items()}
    training = {"split": "random", "trials": 1, "folds": 2, "candidates": ["gradient_boosting"]}
    spec = messages_spec(columns=raw, training=training)
    project = Project(tracked, spec)
    train(tracked, spec, messages(900), cutoff=pd.Timestamp("2025-01-01", tz="UTC").to_pydatetime())
    version = project.registry.challenger()
    assert gate.run(project).passed
    mlflow.set_tracking_uri(tracked.mlflow_url)
    try:
        assert "text_0" in mlflow.sklearn.load_model(f"models:/sms/{version.version}")["columns"].named_transformers_
    finally:
        mlflow.set_tracking_uri(None)


def test_the_threshold_of_costs_is_in_the_recipe_the_run_and_the_gate(tracked, toy, toy_rows, client):
    training = toy.training.model_copy(update={"candidates": ["linear"], "trials": 1})
    by_cost = toy.gate.model_copy(update={"metric": "cost", "slices": {}})
    costs = {"costs": Costs(missed=4, false_alarm=1), "gate": by_cost}
    spec = toy.model_copy(update={"name": "toy_costs", "training": training, **costs})
    result, project = train(tracked, spec, toy_rows(1500)), Project(tracked, spec)
    version = project.registry.challenger()
    with artifacts.folder(tracked, version, "recipe") as recipe, artifacts.folder(tracked, version, "served") as served:
        threshold = json.loads((recipe / "recipe.json").read_text())["threshold"]
        assert 0 < ServedModel(served).threshold == threshold < 0.4
    run = client.get_run(result.run_id).data
    assert (float(run.params["threshold"]), run.metrics["cost"]) == (threshold, pytest.approx(result.metrics["cost"]))
    assert [reason.found for reason in gate.run(project).reasons if reason.name == "cost"] == [result.metrics["cost"]]
