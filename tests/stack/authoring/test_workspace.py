import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from stack.authoring import workspace
from stack.cli import main
from stack.core.errors import StackError
from stack.core.settings import ROOT
from stack.ops import credentials
from tests.forks import Ended
from tests.stack.authoring.scaffolds import flowers

OWN = "def test_it_imports():\n    from projects.petals import source\n    assert source\n"


@pytest.fixture
def folder(tmp_path):
    workspace.create(tmp_path / "ml")
    return tmp_path / "ml"


@pytest.fixture
def stack(commands):
    """Run a command in a workspace."""

    def run(folder: Path, *words: str) -> Ended:
        environ = os.environ | {"STACK_WORKSPACE": str(folder), "STACK_HOME": str(folder.parent / "home")}
        return commands.module("stack", *words, environ=environ)

    return run


def listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and ".git/" not in str(path)}


def test_a_workspace_is_a_git_repository_that_checks_its_projects(folder):
    assert subprocess.run(["git", "status"], cwd=folder, capture_output=True, check=True).stdout
    assert listing(folder) == {
        *(".gitignore", "README.md", ".github/workflows/check.yml", "projects/.gitkeep", "feature_repo/declared.py")
    }
    (job,) = yaml.safe_load((folder / ".github/workflows/check.yml").read_text())["jobs"].values()
    assert job["env"]["STACK_WORKSPACE"] == "${{ github.workspace }}/workspace"
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    assert "git clone" in commands and 'make -C stack test PROJECT="$project"' in commands
    assert len((folder / "README.md").read_text().splitlines()) < 40


def test_projects_of_the_checkout_are_copied_if_asked_for(tmp_path):
    workspace.create(tmp_path / "ml", ["flights", "housing"])
    assert (tmp_path / "ml/feature_repo/flights.py").is_file() and (tmp_path / "ml/projects/flights/model.py").is_file()
    assert not (tmp_path / "ml/projects/titanic").exists()
    with pytest.raises(StackError, match="did you mean 'flights'"):
        workspace.create(tmp_path / "other", ["flihgts"])
    assert not (tmp_path / "other").exists()


def test_what_is_in_use_is_not_written_to(folder, tmp_path):
    with pytest.raises(StackError, match=r"(?s)found.*README.md, feature_repo \.\.\..*STACK_WORKSPACE=.*/ml"):
        workspace.create(folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match="a file"):
        workspace.create(tmp_path / "file")
    with pytest.raises(StackError, match="one outside it"):
        workspace.create(ROOT / "ml")
    assert not (ROOT / "ml").exists()


def test_the_command_says_what_it_did_and_keeps_the_key(stack, tmp_path, monkeypatch):
    kept: dict[str, str] = {}
    monkeypatch.setattr(credentials, "keep", kept.update)
    answer = CliRunner().invoke(main, ["workspace", str(tmp_path / "ml"), "--examples", "housing"])
    assert kept == {"workspace": str(tmp_path / "ml")}
    assert "housing" in answer.output and f"STACK_WORKSPACE={tmp_path / 'ml'}" in answer.output
    again = stack(tmp_path / "ml", "workspace", str(tmp_path / "second"))
    assert f"the workspace {tmp_path / 'ml'}" in again.errors and not (tmp_path / "second").exists()


def test_a_project_is_written_checked_ejected_and_tested_in_it(stack, folder):
    table = folder.parent / "petals.csv"
    flowers().to_csv(table, index=False)
    written = stack(folder, "new", "petals", "--from", str(table), "--target", "species")
    assert f"wrote {folder}/projects/petals/project.yaml" in written.output, written.errors
    assert not (ROOT / "projects/petals").exists()
    ejected = stack(folder, "eject", "petals", "--parts", "source,features,definitions")
    assert f"wrote {folder}/feature_repo/petals.py" in ejected.output, ejected.errors
    (folder / "projects/petals/tests").mkdir()
    (folder / "projects/petals/tests/test_petals.py").write_text(OWN)
    with (folder / "projects/petals/data/petals.csv").open("a") as file:
        file.write("99.0,5.0,setosa\n")
    tested = stack(folder, "test", "petals")
    assert "warning" in tested.output and "99" in tested.output, "a row for quarantine is no error of the project"
    assert "one prediction" in tested.output and "1 passed" in tested.output, tested.output + tested.errors


def test_the_examples_of_the_checkout_are_not_found_with_a_workspace(stack, folder):
    assert "no project of this name" in stack(folder, "check", "flights").errors


def test_a_folder_that_is_gone_is_no_workspace_without_projects(stack, tmp_path):
    answer = stack(tmp_path / "unmounted", "check", "flights")
    assert "STACK_WORKSPACE" in answer.errors and "no folder projects in it" in answer.errors
