"""A model is rebuilt from its run alone; code that no commit has is refused; differences are counted."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from stack.authoring import workspace
from stack.core import code
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings, using
from stack.features import datasets
from stack.project import Project, contract
from stack.promotion import challengers
from stack.reproduce import checkouts, rebuild, reproduce, steps
from stack.specification import specs
from stack.training.training import TrainingSet

SINCE, CUTOFF = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 13, tzinfo=UTC)


@pytest.fixture(scope="module")
def spec() -> specs.ProjectSpec:
    flights = specs.load("flights")
    changes = {"candidates": ["linear"], "trials": 1, "folds": 1}
    return flights.model_copy(update={"training": flights.training.model_copy(update=changes)})


@pytest.fixture(scope="module")
def run_id(tracked: Settings, spec: specs.ProjectSpec) -> str:
    """A training on the first of two batches of the lake: the second batch came later."""
    fetch = contract.source(spec.name).fetch
    revision = Project(tracked, spec).lake.append(fetch(SINCE, CUTOFF), SINCE, CUTOFF)
    frame = steps.training_set(spec, Project(tracked, spec).lake.read(until=CUTOFF), CUTOFF)
    later = datetime(2013, 1, 14, tzinfo=UTC)
    Project(tracked, spec).lake.append(fetch(CUTOFF, later), CUTOFF, later)
    data = TrainingSet(frame, CUTOFF, revision, code.version())
    return challengers.train(Project(tracked, spec), data, lambda _: None).run_id


@pytest.fixture(scope="module")
def known(tracked: Settings, run_id: str, tmp_path_factory: pytest.TempPathFactory) -> reproduce.Recorded:
    return reproduce.fetch(tracked, run_id, tmp_path_factory.mktemp("known") / "recorded")


def test_metrics_and_predictions_are_the_recorded_ones(tracked: Settings, run_id: str) -> None:
    lines: list[str] = []
    comparison = reproduce.reproduce(tracked, run_id, lines.append)
    assert comparison.same
    assert comparison.metrics > 8
    assert {name: off for name, (_, off) in comparison.rows.items()} == {"holdout": 0, "reference": 0}
    assert min(rows for rows, _ in comparison.rows.values()) > 1000
    assert any("labelled rows" in line for line in lines)
    assert [path.name for path in tracked.home.glob("reproduce-*")] == []


def test_a_scratch_training_set_is_that_of_the_lake(tracked: Settings, spec: specs.ProjectSpec, run_id: str) -> None:
    recomputed = steps.training_set(spec, Project(tracked, spec).lake.read(until=CUTOFF), CUTOFF)
    assert recomputed["event_id"].is_unique
    assert (recomputed["label_available_at"] <= CUTOFF).all()
    assert set(recomputed["event_id"]) <= set(datasets.events(Project(tracked, spec), CUTOFF)["event_id"])


def test_what_differs_is_counted(known: reproduce.Recorded, tmp_path: Path) -> None:
    for name in reproduce.TABLES:
        rows = pd.read_parquet(known.folder / name / f"{name}.parquet")
        rows.loc[rows.index[:3], "probability"] += 1e-12
        (tmp_path / name).mkdir()
        rows.to_parquet(tmp_path / name / f"{name}.parquet")
    (tmp_path / steps.METRICS).write_text(json.dumps(known.metrics | {"auc": known.metrics["auc"] + 1e-8}))
    comparison = reproduce.compare(known, tmp_path)
    assert set(comparison.differing) == {"auc"}
    assert {off for _, off in comparison.rows.values()} == {3}
    assert not comparison.same


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        (
            {"code_version": "0" * 40 + "-dirty", "uncommitted": ["stack/specification/project.py"]},
            "not committed: stack/specification/project.py",
        ),
        ({"code_version": "0" * 40 + "-dirty", "uncommitted": None}, "not committed: not named"),
        ({"code_version": "0" * 40 + "-dirty", "uncommitted": []}, "no such commit"),
    ],
)
def test_code_that_cannot_be_had_is_refused(
    known: reproduce.Recorded, tmp_path: Path, recorded: dict[str, Any], message: str
) -> None:
    recipe = known.recipe | recorded | {"code_digest": "another"}
    with pytest.raises(StackError, match=message), checkouts.recorded(recipe, tmp_path / "code", print):
        pass
    with checkouts.recorded(recipe, tmp_path / "code", print, as_it_is=True) as checkout:
        assert checkout.folder == ROOT


@pytest.fixture
def head() -> Iterator[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout")
    yield code.git("rev-parse", "HEAD")


def test_other_code_is_checked_out_beside_this_one(known: reproduce.Recorded, tmp_path: Path, head: str) -> None:
    recipe = known.recipe | {"code_version": head, "code_digest": "another", "uncommitted": []}
    with checkouts.recorded(recipe, tmp_path / "code", print) as checkout:
        assert checkout.folder == tmp_path / "code"
        assert (checkout.folder / "stack/reproduce/rebuild.py").is_file()
        lines: list[str] = []
        with pytest.raises(StackError, match="No such file"):
            checkout.run(["stack.reproduce.rebuild", str(tmp_path / "absent.json"), str(tmp_path)], {}, lines.append)
        assert str(checkout.folder) in "\n".join(lines)
    assert not (tmp_path / "code").exists()
    assert str(tmp_path) not in subprocess.check_output(["git", "worktree", "list"], cwd=ROOT, text=True)


def test_code_that_was_not_committed_is_put_back_as_the_run_kept_it(
    known: reproduce.Recorded, tmp_path: Path, head: str
) -> None:
    changed, new, gone = "stack/core/clock.py", "projects/flights/new.py", "stack/core/disk.py"
    kept = tmp_path / "kept"
    code.keep([changed, "no/such/file.py"], kept)
    (kept / changed).write_text("CHANGED = True\n")
    (kept / new).parent.mkdir(parents=True)
    (kept / new).write_text("NEW = True\n")
    recipe = known.recipe | {"code_version": f"{head}-dirty", "code_digest": "another"}
    recipe |= {"uncommitted": [changed, new, gone]}
    with checkouts.recorded(recipe, tmp_path / "code", print, kept=kept) as checkout:
        assert (checkout.folder / changed).read_text() == "CHANGED = True\n"
        assert (checkout.folder / new).read_text() == "NEW = True\n"
        assert not (checkout.folder / gone).exists()
        assert (checkout.folder / "stack/reproduce/rebuild.py").is_file()


def test_other_packages_are_named() -> None:
    off = rebuild.differences({"packages": {"numpy": "0.1", "no-such-package": "2"}})
    assert {name: wanted for name, (wanted, _) in off.items()} == {"numpy": "0.1", "no-such-package": "2"}
    assert "none instead of 2" in rebuild.describe(off)


def test_a_run_that_is_no_training_is_refused(tracked: Settings, tmp_path: Path) -> None:
    with pytest.raises(StackError, match="the run of a training that ended well"):
        reproduce.fetch(tracked, "0" * 32, tmp_path / "recorded")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A workspace with flights, at a commit."""
    folder = tmp_path / "ml"
    workspace.create(folder, ["flights"])
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["add", "--all"], [*author, "commit", "--quiet", "--message", "Start"]):
        code.git(*words, at=folder)
    with using(Settings(home=tmp_path / "home", workspace=folder)):
        yield folder


def test_a_recipe_names_the_commit_of_the_workspace_and_what_it_lacks(own: Path, tmp_path: Path) -> None:
    assert code.workspace_version() == code.git("rev-parse", "HEAD", at=own)
    with using(Settings(home=tmp_path)):
        assert code.workspace_version() is None
        here = code.digest("flights")
    assert code.digest("flights") == here, "the same files are the same code"
    (own / "projects/flights/model.py").write_text("CHANGED = True\n")
    (own / "projects/flights/new.py").write_text("")
    (own / "projects/flights/checks.py").unlink()
    assert str(code.workspace_version()).endswith(code.DIRTY)
    changed = [name for name in code.uncommitted("flights") or [] if code.is_of_workspace(name)]
    assert sorted(changed) == [f"projects/flights/{name}.py" for name in ("checks", "model", "new")]
    code.keep(changed, tmp_path / "kept")
    assert (tmp_path / "kept/projects/flights/model.py").read_text() == "CHANGED = True\n"
    assert not (tmp_path / "kept/projects/flights/checks.py").exists(), "it is not that of the checkout"


@pytest.mark.parametrize("committed", [True, False])
def test_the_workspace_is_checked_out_beside_the_code(own: Path, tmp_path: Path, head: str, committed: bool) -> None:
    if not committed:
        shutil.rmtree(own / ".git")
    recipe = {"project": "flights", "code_version": head, "code_digest": "another", "packages": {}}
    recipe |= {"workspace_version": code.workspace_version(), "uncommitted": code.uncommitted("flights")}
    kept, was = tmp_path / "kept", (own / "projects/flights/model.py").read_text()
    kept.mkdir()
    code.keep(recipe["uncommitted"], kept)
    (own / "projects/flights/model.py").write_text("LATER = True\n")
    with checkouts.recorded(recipe, tmp_path / "code", print, kept=kept) as checkout:
        assert checkout.workspace and checkout.workspace != own
        assert (checkout.workspace / "projects/flights/model.py").read_text() == was
        assert (checkout.workspace / "feature_repo/flights.py").is_file()
        asked: list[str] = []
        (checkout.folder / "asks.py").write_text("from projects.flights import features; print(features.__file__)")
        checkout.run(["asks"], {}, asked.append)
        assert asked == [str(checkout.workspace / "projects/flights/features.py")]
    assert not (tmp_path / "code").exists()
    assert not committed or str(tmp_path / "workspace") not in code.git("worktree", "list", at=own)


def test_a_commit_that_the_workspace_lacks_is_named(own: Path, tmp_path: Path, head: str) -> None:
    recipe = {"project": "flights", "code_version": head, "code_digest": "another", "packages": {}, "uncommitted": []}
    recipe |= {"workspace_version": "0" * 40}
    with pytest.raises(StackError, match=f"no such commit in {own}"), checkouts.recorded(recipe, tmp_path / "c", print):
        pass
