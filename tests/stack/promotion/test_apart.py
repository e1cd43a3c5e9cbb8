"""A project's own packages: locked, installed for its trainings alone, and not needed to serve what they trained."""

import json
import subprocess
import sys
from datetime import timedelta
from importlib.util import find_spec

import pytest
import yaml

from stack.core import migrations
from stack.core.errors import StackError
from stack.project import Project, contract
from stack.promotion import apart
from stack.registry import artifacts
from stack.serving.served import ServedModel
from stack.specification import specs
from stack.training import packages
from stack.training.training import TrainingSet
from tests import own_packages
from tests.stack.conftest import DAYS, START

CUTOFF = (START + timedelta(days=DAYS, hours=6)).to_pydatetime()


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("UV_OFFLINE", "1")


@pytest.fixture
def project(tracked, toy, tmp_path, monkeypatch, request):
    """Make a project of a workspace of its own, whose model.py needs a package."""

    def make(estimator="Tiny", requirement=own_packages.REQUIREMENT):
        own, name = tracked.model_copy(update={"workspace": tmp_path}), f"tiny_{estimator.lower()}"
        monkeypatch.setattr(type(own), "projects", tmp_path / "projects")
        raw = toy.model_dump(mode="json", exclude_defaults=True) | {"name": name}
        raw["training"] = {"candidates": ["dummy", "tiny"], "trials": 1}
        folder = tmp_path / "projects" / name
        folder.mkdir(parents=True)
        (folder / "project.yaml").write_text(yaml.safe_dump(raw))
        own_packages.bring(folder, estimator, requirement)
        return Project(own, specs.read(folder / "project.yaml")), folder

    return make


def train(project, folder, rows):
    lines = []
    own = packages.installed(project.settings, folder, lines.append)
    migrations.upgrade(project.settings.state_database)
    return apart.run("train", project, TrainingSet(rows, CUTOFF, "3f2a", "c0de"), own, lines.append), lines


def test_a_training_has_the_packages_and_the_served_form_needs_none(project, toy_rows):
    opened, folder = project()
    packages.lock(folder)
    text = (folder / packages.LOCK).read_text()
    assert "tiny-trees==1.0" in text and "--hash=sha256:" in text
    result, lines = train(opened, folder, toy_rows(1500))
    assert any("holdout of tiny: auc" in line for line in lines), lines
    version = opened.registry.numbered(result["version"])
    assert opened.registry.challenger().version == version.version
    assert find_spec("tiny_trees") is None, "no other process has them"
    with artifacts.folder(opened.settings, version, artifacts.SERVED) as served:
        model = ServedModel(served)
        assert model.form == "onnx"
        assert 0 < model.predict(toy_rows(5, seed=9))[0, 0] < 1
    with artifacts.folder(opened.settings, version, "recipe") as recipe:
        assert json.loads((recipe / "recipe.json").read_text())["own_packages"] == {"tiny-trees": "1.0"}
    assert packages.installed(opened.settings, folder, pytest.fail) is not None, "a second training installs nothing"


def test_a_model_without_a_converter_says_so(project, toy_rows):
    opened, folder = project("Unknown")
    packages.lock(folder)
    with pytest.raises(StackError, match="served form of tiny_unknown") as error:
        train(opened, folder, toy_rows(1500))
    assert "register a converter in model.py" in error.value.todo
    assert opened.registry.challenger() is None


def test_packages_that_go_against_those_of_the_stack_are_refused(project):
    _, folder = project(requirement="numpy==1.0")
    with pytest.raises(StackError, match="unsatisfiable") as error:
        packages.lock(folder)
    assert "change the versions in requirements.txt" in error.value.todo


def test_without_a_network_the_index_is_named(project):
    _, folder = project(requirement="no-such-package-anywhere")
    with pytest.raises(StackError) as error:
        packages.lock(folder)
    assert "UV_INDEX_URL" in error.value.todo


def test_a_lock_is_made_anew_when_the_requirements_change(project):
    opened, folder = project()
    with pytest.raises(StackError, match="no such file") as error:
        packages.installed(opened.settings, folder, pytest.fail)
    assert error.value.todo == f"make packages PROJECT={folder.name}"
    packages.lock(folder)
    (folder / packages.REQUIREMENTS).write_text("--find-links .\ntiny-trees\n")
    with pytest.raises(StackError, match="a lock of other packages"):
        packages.installed(opened.settings, folder, pytest.fail)
    assert packages.installed(opened.settings, folder, lambda _: None, recorded=True), "as a run has recorded it"


def test_an_altered_package_is_refused(project, tmp_path, monkeypatch):
    opened, folder = project("Altered")
    packages.lock(folder)
    own_packages.wheel(folder, "tiny_trees", "other = 1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))  # uv's own has the one that was locked
    with pytest.raises(StackError, match=r"[Hh]ash"):
        packages.installed(opened.settings, folder, lambda _: None)
    assert not list((opened.settings.home / packages.FOLDER / folder.name).glob("*")), "nothing is half there"


def test_an_import_at_the_top_of_model_py_is_named(project, monkeypatch):
    import projects

    _, folder = project("Top")
    monkeypatch.setattr(projects, "__path__", [str(folder.parent)])
    (folder / "model.py").write_text("import tiny_trees\n")
    with pytest.raises(StackError, match="an import of tiny_trees that trainings alone can do"):
        contract.model(folder.name)


def test_a_project_without_requirements_has_none(project, toy):
    opened, folder = project()
    (folder / packages.REQUIREMENTS).unlink()
    assert packages.installed(opened.settings, folder, pytest.fail) is None
    assert packages.pins(folder) == {}


def test_where_uv_is_absent_pip_installs_them(project, monkeypatch):
    if subprocess.run([sys._base_executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode:
        pytest.skip("the interpreter has no pip")
    opened, folder = project("Pip")
    packages.lock(folder)
    monkeypatch.setattr(packages.shutil, "which", lambda *_, **__: None)
    installed = packages.installed(opened.settings, folder, lambda _: None)
    assert (installed / "tiny_trees.py").read_text() == own_packages.LIBRARY


def test_a_sweep_is_done_there_too(tracked, town, toy_rows, tmp_path, monkeypatch):
    monkeypatch.setattr(Project, "open", lambda name: Project(tracked, town))
    toy_rows(1500).to_parquet(tmp_path / apart.ROWS)
    task = {"work": "sweep", "project": town.name, "cutoff": CUTOFF.isoformat(), "given": {"trials": 2}}
    (tmp_path / apart.TASK).write_text(json.dumps(task | {"data_revision": "3f2a", "code_version": "c0de"}))
    assert apart.main(tmp_path) == 0
    result = json.loads((tmp_path / apart.RESULT).read_text())["result"]
    assert result["best"]["candidate"] in ("gradient_boosting", "linear")
    assert (tracked.pages / town.name / result["page"]).exists()
