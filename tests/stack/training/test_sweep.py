"""A sweep compares models, feature sets and parameters; it goes on where it was stopped, and repeats itself."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import mlflow
import pytest
import yaml
from distributed import Client, LocalCluster

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.workers import Workers
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training import sweep
from stack.training.training import TrainingSet
from tests.stack.conftest import DAYS, START

CUTOFF = (START + timedelta(days=DAYS, hours=6)).to_pydatetime()


@pytest.fixture(scope="module")
def towns(toy):
    """A project of this module's own, with a set of columns that knows what matters least."""
    training = toy.training.model_copy(update={"feature_sets": {"without_rain": ["town_id", "cold"]}})
    return toy.model_copy(update={"name": "swept", "training": training})


@pytest.fixture(scope="module")
def rows(toy_rows):
    return toy_rows(800)


def swept(settings, spec, rows, workers, trials=8, report=lambda _: None):
    data = TrainingSet(rows, CUTOFF, "3f2a", "c0de")
    return sweep.sweep(Project(settings, spec), data, trials=trials, workers=workers, report=report)


def home(tracked, folder):
    """The settings of the tracked stack with another STACK_HOME, so with studies of its own."""
    return Settings(home=folder, mlflow_port=tracked.mlflow_port)


@pytest.fixture(scope="module")
def threads():
    with ThreadPoolExecutor(2) as executor:
        yield Workers(executor)


@pytest.fixture(scope="module")
def first(tracked, towns, rows, threads):
    lines = []
    return swept(tracked, towns, rows, threads, report=lines.append), lines


@pytest.fixture(scope="module")
def client(tracked):
    return mlflow.MlflowClient(tracked.mlflow_url)


def children(client, run_id):
    run = client.get_run(run_id)
    runs = client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    return {child.info.run_name: child.data for child in runs}


def losses(client, run_id):
    return {name: data.metrics["log_loss"] for name, data in children(client, run_id).items()}


def test_each_trial_is_a_run_below_the_sweep(client, first):
    result, lines = first
    runs = children(client, result.run_id)
    assert set(runs) == {f"trial {number}" for number in range(8)}
    assert len(lines) == 8
    centres = [(runs[f"trial {at}"].params["features"], runs[f"trial {at}"].params["candidate"]) for at in range(4)]
    assert centres == [
        ("all", "gradient_boosting"),
        ("all", "linear"),
        ("without_rain", "gradient_boosting"),
        ("without_rain", "linear"),
    ]
    parent = client.get_run(result.run_id)
    assert (parent.info.status, parent.data.tags["stack.kind"]) == ("FINISHED", "sweep")
    whole = [data.metrics["log_loss"] for data in runs.values() if data.tags["stack.pruned"] == "False"]
    assert parent.data.metrics["log_loss"] == min(whole) == result.best["log_loss"]


def test_the_columns_that_matter_are_found_to_matter(client, first):
    result, _ = first
    assert result.best["features"] == "all"
    runs = children(client, result.run_id)
    assert runs["trial 1"].metrics["log_loss"] < runs["trial 3"].metrics["log_loss"] - 0.03


def test_the_page_stands_alone_and_the_advice_can_be_pasted(tracked, towns, client, first):
    result, _ = first
    assert {file.path for file in client.list_artifacts(result.run_id)} == {"best.yaml", "sweep.html", "trials.csv"}
    page = result.page.read_text()
    assert result.page.parent == tracked.pages / "swept"
    assert "<script src=" not in page
    assert page.count("plotly.js v") == 1
    assert "every trial is a line" in page
    advice = Path(client.download_artifacts(result.run_id, "best.yaml")).read_text()
    params = yaml.safe_load(advice)["training"]["initial_params"]
    assert params == {result.best["candidate"]: result.best["params"]}
    raw = towns.model_dump(mode="json")
    assert ProjectSpec.model_validate(raw | {"training": raw["training"] | {"initial_params": params}})


def test_a_cluster_finds_the_same(tracked, towns, rows, client, first, tmp_path):
    """A real scheduler and worker of Dask, in this process."""
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as dask,
    ):
        workers = Workers(dask.get_executor(), lambda folds: dask.scatter(folds, broadcast=True, hash=False))
        result = swept(home(tracked, tmp_path), towns, rows, workers)
    assert result.best == first[0].best
    assert losses(client, result.run_id) == losses(client, first[0].run_id)


def test_a_sweep_goes_on_where_it_was_stopped(tracked, towns, rows, threads, client, first, tmp_path):
    settings, calls = home(tracked, tmp_path), []

    class Killed(ThreadPoolExecutor):
        def submit(self, *args):
            calls.append(args)
            if len(calls) == 12:
                raise KeyboardInterrupt
            return super().submit(*args)

    with Killed(1) as executor, pytest.raises(KeyboardInterrupt):
        swept(settings, towns, rows, Workers(executor))
    result = swept(settings, towns, rows, threads)
    assert sorted(losses(client, result.run_id).values()) == sorted(losses(client, first[0].run_id).values())
    before = len(children(client, result.run_id))
    more = swept(settings, towns, rows, threads, trials=9)
    assert more.run_id == result.run_id
    assert len(children(client, more.run_id)) == before + 1 == 9


def test_a_set_with_a_column_that_is_none_is_refused(towns):
    raw = towns.model_dump(mode="json")
    raw["training"] |= {"feature_sets": {"small": ["wett"]}}
    with pytest.raises(ValueError, match="did you mean 'wet'"):
        ProjectSpec.model_validate(raw)


def test_other_data_is_another_question(tracked, towns, rows, threads, first, tmp_path):
    data = TrainingSet(rows, CUTOFF, "4e1b", "c0de")
    result = sweep.sweep(Project(tracked, towns), data, trials=1, workers=threads, report=lambda _: None)
    assert result.run_id != first[0].run_id


def test_too_few_rows_are_refused(tracked, towns, toy_rows, threads):
    with pytest.raises(StackError, match="training set of swept"):
        swept(tracked, towns, toy_rows(50, days=1), threads)
