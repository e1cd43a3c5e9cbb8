"""The notebook runs from top to bottom against a running stack, and is kept without what it showed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from stack.core import settings
from stack.core.settings import Settings
from stack.ops.local.runtime import LocalRuntime
from stack.ops.shell import NOTEBOOKS
from stack.project import Project
from stack.specification import specs
from tests.polling import PATIENCE_SECONDS

PATH = NOTEBOOKS / "stack.ipynb"


@pytest.mark.services
def test_the_notebook_runs(running: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, environ = LocalRuntime(running).notebook(os.environ, print)
    for key, value in (environ | {"IPYTHONDIR": str(tmp_path)}).items():
        monkeypatch.setenv(key, value)
    read = nbformat.read(PATH, as_version=4)
    NotebookClient(
        read, timeout=PATIENCE_SECONDS, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = {out["output_type"]: out for cell in read.cells if cell.cell_type == "code" for out in cell.outputs}
    text = json.dumps(read)
    assert "image/png" in text
    assert f"version {Project(running, specs.load('flights')).registry.require_champion().version} is live" in text
    assert "execute_result" in shown


def test_it_is_kept_without_outputs() -> None:
    cells = [cell for cell in json.loads(PATH.read_text())["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_jupyter_knows_the_options_and_listens_here_alone() -> None:
    command, _ = LocalRuntime(settings.load({})).notebook({}, print)
    words = [*command, "--show-config-json"]
    config = json.loads(subprocess.check_output(words, env=os.environ | {"HOME": "/nonexistent"}, text=True))
    assert words[0] == sys.executable
    assert config["ServerApp"]["ip"] == "127.0.0.1"
    assert config["LabApp"]["news_url"] is None or config["LabApp"]["news_url"] == "None"
