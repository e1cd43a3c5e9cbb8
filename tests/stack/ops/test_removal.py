"""A project is removed with all that the stack has of it, and nothing of another."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from stack.core import database, migrations
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import removal
from stack.ops.project_runs import ProjectRun, ProjectRuns
from stack.project import Project

NOW = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def stack(tracked: Settings, tmp_path) -> Settings:
    own = Settings(
        home=tmp_path / "home",
        workspace=tmp_path / "workspace",
        mlflow_port=tracked.mlflow_port,
        artifacts=tracked.artifacts,
    )
    migrations.upgrade(own.state_database)
    return own


def test_models_rows_and_folders_go_and_those_of_others_stay(stack, tracked, client, town, tmp_path):
    names, folders = (town.name, f"{town.name}_2"), ("pages", "features", "cache/oracle", "quarantine")
    artifacts = {}
    for name in names:
        experiment = client.create_experiment(name)
        run = client.create_run(experiment)
        (tmp_path / "model.txt").write_text("weights")
        client.log_artifact(run.info.run_id, str(tmp_path / "model.txt"))
        client.create_registered_model(name)
        client.create_model_version(name, run.info.artifact_uri, run.info.run_id)
        artifacts[name] = Path(tracked.artifacts, experiment)
        for folder in folders:
            (stack.home / folder / name).mkdir(parents=True)
        report = stack.reports / f"of-{name}"
        report.mkdir(parents=True)
        (report / "metadata.json").write_text(json.dumps({"name": name}))
        with database.engine(stack.state_database).begin() as connection:
            connection.execute(insert(database.scheduled).values(project=name, until=NOW))

    said: list[str] = []
    removal.remove_state(stack, town.name, said.append)
    removal.remove_state(stack, town.name, said.append)  # as after a kill

    other = names[1]
    assert "deleted 1 versions" in said[0] and "deleted 0 versions" in said[1]
    assert client.get_experiment_by_name(town.name) is None
    assert client.get_experiment_by_name(other).lifecycle_stage == "active"
    assert [len(Project(stack, town.model_copy(update={"name": name})).registry.versions()) for name in names] == [0, 1]
    assert sorted(path.name for path in stack.home.rglob(f"*{town.name}*")) == sorted([*[other] * 4, f"of-{other}"])
    with database.engine(stack.state_database).connect() as connection:
        assert [row.project for row in connection.execute(select(database.scheduled))] == [other]
    files = [[path.name for path in artifacts[name].rglob("*") if path.is_file()] for name in names]
    assert files == [[], ["model.txt"]]


@pytest.mark.parametrize("name", ["../flights", "", "Flights", "a/b", "-x"])
def test_only_a_name_is_removed(stack, name):
    for remove in (removal.require_possible, lambda *of: removal.remove_state(*of, print)):
        with pytest.raises(StackError, match="the name of a project"):
            remove(stack, name)


@pytest.mark.parametrize("name", ["assets", "flihgts"])
def test_what_is_no_project_is_not_removed(stack, name):
    (stack.pages / name).mkdir(parents=True)
    with pytest.raises(StackError, match="one of .*flights"):
        removal.require_possible(stack, name)


def test_a_project_that_runs_is_not_removed(stack, monkeypatch):
    run = ProjectRun("1", "train", "Running", "RUNNING", NOW, timedelta(0))
    monkeypatch.setattr(ProjectRuns, "recent", lambda _: [run])
    (stack.projects / "town").mkdir(parents=True)
    with pytest.raises(StackError, match="a run of train that is running"):
        removal.require_possible(stack, "town")


def test_files_of_an_example_stay_and_those_of_the_user_go(stack):
    assert removal.files(Settings(), "flights") == []
    own = stack.projects / "town"
    own.mkdir(parents=True)
    (own / "project.yaml").write_text("name: town")
    assert removal.files(stack, "town") == [own]
    removal.remove_files(removal.files(stack, "town"), print)
    assert not own.exists() and removal.files(stack, "town") == []
