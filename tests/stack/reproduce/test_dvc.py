"""The pipeline without servers, as a user of DVC meets it: reproduced, tried with other parameters, compared."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.core.settings import ROOT
from tests.polling import PATIENCE_SECONDS

SHORT = ["-S", "fetch.until=2013-01-13T00:00:00Z", "-S", "train.trials=1", "-S", "train.folds=1"]
Run = Callable[..., str]


def run_in(folder: Path) -> Run:
    """Run commands there, with the tools of this environment and nothing of a stack."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("STACK_")}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    own = {"PATH": path, "DVC_SITE_CACHE_DIR": str(folder.parent / "site"), "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}

    def run(*words: str) -> str:
        done = subprocess.run(
            words, cwd=folder, env=kept | own, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Commands in a copy of the checkout with one commit."""
    clone = tmp_path_factory.mktemp("clone") / "stack"
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, subprocess.check_output(words, cwd=ROOT, text=True).split("\0")):
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    run = run_in(clone)
    run("git", "init", "--quiet")
    for key, value in (("user.name", "test"), ("user.email", "test@localhost")):
        run("git", "config", key, value)
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "Copy")
    return run


def test_a_pipeline_is_reproduced_tried_and_compared(run: Run) -> None:
    first = run("dvc", "exp", "run", *SHORT)
    assert "auc" in first
    assert run("git", "status", "--porcelain").split() == ["M", "params.yaml", "??", "dvc.lock"]
    assert "are up to date" in run("dvc", "repro")
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", "Reproduce")

    second = run("dvc", "exp", "run", "-S", "evaluate.holdout_days=1")
    assert "Stage 'features' didn't change, skipping" in second
    assert "Running stage 'train'" in second

    metrics = json.loads(run("dvc", "metrics", "diff", "--json"))["build/evaluation/metrics.json"]
    assert metrics["rows"]["new"] < metrics["rows"]["old"]
    plots = json.loads(run("dvc", "plots", "diff", "--json"))["data"]
    assert {name.partition("::")[2] or name for name in plots} >= {"build/evaluation/importance.csv"}

    clone = Path(run("git", "rev-parse", "--show-toplevel").strip())
    with (clone / "projects/flights/model.py").open("a") as model:
        model.write("# another model\n")
    changed = run("dvc", "status", "--json")
    assert set(json.loads(changed)) == {"train", "evaluate"}


def test_the_configuration_names_no_machine_and_reports_nothing(run: Run) -> None:
    assert run("dvc", "config", "--project", "core.analytics").strip() == "false"
    assert "/" not in (ROOT / ".dvc/config").read_text()
