"""Aliases move so that there is always one whole champion; files arrive whole or not at all."""

from datetime import UTC, datetime

import pytest

from stack.core.errors import StackError
from stack.project import Project
from stack.registry import artifacts, registry
from stack.registry.registry import Version
from tests.stack.conftest import aliases

CUTOFF = "2013-03-01T00:00:00+00:00"


@pytest.fixture
def register(client, town, tmp_path):
    """Make a version whose run holds a served folder."""
    experiment = client.create_experiment(town.name)
    client.create_registered_model(town.name)

    def make(content="a model"):
        run = client.create_run(experiment).info
        (tmp_path / "contract.json").write_text(content)
        (tmp_path / "deep").mkdir(exist_ok=True)
        (tmp_path / "deep" / "tree.txt").write_text("leaf")
        client.log_artifacts(run.run_id, str(tmp_path), "served")
        version = client.create_model_version(town.name, f"{run.artifact_uri}/served", run.run_id, tags={"auc": "0.7"})
        client.set_registered_model_alias(town.name, "challenger", version.version)
        return str(version.version)

    return make


def test_a_project_without_a_model_has_no_champion(tracked, town):
    assert aliases(tracked, town) == (None, None, None)
    with pytest.raises(StackError, match="make train PROJECT="):
        Project(tracked, town).registry.require_champion()


def test_promotion_moves_every_alias(tracked, town, register):
    first = register()
    Project(tracked, town).registry.set_champion(first)
    assert aliases(tracked, town) == (first, None, None)
    second = register()
    assert aliases(tracked, town) == (first, second, None)
    Project(tracked, town).registry.set_champion(second)
    assert aliases(tracked, town) == (second, None, first)


def test_the_aliases_of_all_models_are_one_question(tracked, town, register, client):
    first, second = register(), register()
    Project(tracked, town).registry.set_champion(first)
    client.create_registered_model(f"{town.name} without versions")
    listed = registry.aliases(tracked)
    assert listed[town.name] == {"champion": first, "challenger": second}
    assert listed[f"{town.name} without versions"] == {}


def test_promoting_again_changes_nothing(tracked, town, register):
    first, second = register(), register()
    Project(tracked, town).registry.set_champion(first)
    for _ in range(2):
        Project(tracked, town).registry.set_champion(second)
    assert aliases(tracked, town) == (second, None, first)


def test_an_interrupted_promotion_is_completed(tracked, town, register, client):
    first, second = register(), register()
    Project(tracked, town).registry.set_champion(first)
    client.set_registered_model_alias(town.name, "challenger", second)
    client.set_registered_model_alias(town.name, "previous", first)
    client.set_registered_model_alias(town.name, "champion", second)
    Project(tracked, town).registry.set_champion(second)
    assert aliases(tracked, town) == (second, None, first)


def test_a_challenger_that_came_since_keeps_waiting(tracked, town, register):
    first, second = register(), register()
    Project(tracked, town).registry.set_champion(first)
    assert aliases(tracked, town) == (first, second, None)


def test_files_arrive_as_they_were_logged(tracked, town, register, tmp_path):
    register("the first")
    version = Project(tracked, town).registry.challenger()
    assert version.tags == {"auc": "0.7"}
    folder = tmp_path / "a" / "b"
    artifacts.fetch(tracked, version, folder)
    assert (folder / "contract.json").read_text() == "the first"
    assert (folder / "deep" / "tree.txt").read_text() == "leaf"
    assert [path.name for path in folder.parent.iterdir()] == ["b"]


def test_a_download_that_fails_leaves_nothing(tracked, town, register, tmp_path):
    register()
    version = Project(tracked, town).registry.challenger()
    with pytest.raises(StackError, match="no artifacts below holdout/"):
        artifacts.download(tracked, version, "holdout", tmp_path / "to" / "holdout")
    assert list((tmp_path / "to").iterdir()) == []


def test_files_are_added_to_a_run(tracked, town, register):
    register()
    version = Project(tracked, town).registry.challenger()
    artifacts.upload(tracked, version, "gate", {"gate.json": b"{}"})
    Project(tracked, town).registry.tag(version, {"stack.gate": "passed"})
    with artifacts.folder(tracked, version, "gate") as folder:
        assert (folder / "gate.json").read_bytes() == b"{}"
    assert Project(tracked, town).registry.challenger().tag("stack.gate") == "passed"


@pytest.mark.parametrize(
    ("tags", "metrics"),
    [
        (
            {"stack.metrics": '["auc", "net.gain"]', "auc": "0.7", "net.gain": "12", "x": "3"},
            {"auc": 0.7, "net.gain": 12},
        ),
        ({"stack.metrics": '["auc"]', "auc": "nan"}, {}),
        ({"auc": "0.7", "stack.seed": "7", "note": "a word"}, {"auc": 0.7}),
    ],
    ids=["listed", "not a number", "of before the list"],
)
def test_the_metrics_of_a_version_are_those_that_its_tags_list(tags, metrics):
    assert Version("toy", "3", "abc", tags).metrics == metrics


@pytest.mark.parametrize(
    ("since", "growth"),
    [({"stack.since": "2013-01-01T00:00:00+00:00"}, 0.5), ({"stack.since": CUTOFF}, None), ({}, None)],
    ids=["of two months", "of one instant", "of before the tag"],
)
def test_the_growth_is_a_share_of_the_span_of_the_training_data(since, growth):
    version = Version("toy", "3", "abc", {"stack.cutoff": CUTOFF} | since)

    assert version.growth(datetime(2013, 3, 30, 12, tzinfo=UTC)) == growth


def test_a_version_from_elsewhere_is_told_apart():
    with pytest.raises(StackError, match="no tag stack.cutoff"):
        Version("toy", "3", "abc").tag("stack.cutoff")
