"""Ctrl-C while the stack starts: it says what goes on, and what completes the start."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.core import settings
from stack.core.settings import ROOT
from stack.ops.local.supervisor import Supervisor
from tests.polling import PATIENCE_SECONDS
from tests.stacks import own_environment

UP = ["env", "--default-signal=INT", sys.executable, "-m", "stack", "up", "--no-pipeline"]
"""As in a terminal: a command in the background of a shell ignores Ctrl-C."""


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    environ = os.environ | own_environment(tmp_path / "home")
    yield environ
    subprocess.run([sys.executable, "-m", "stack", "down"], cwd=ROOT, env=environ, check=True, timeout=PATIENCE_SECONDS)


def test_an_interrupted_start_says_what_runs_on(environ: dict[str, str]) -> None:
    start = subprocess.Popen(UP, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert start.stdout is not None
    for line in start.stdout:
        if "healthy" in line or "done" in line:
            break
    os.killpg(start.pid, signal.SIGINT)
    said = start.stdout.read()
    assert start.wait(PATIENCE_SECONDS) == 130
    runs, waits = (line.partition(":")[2] for line in said.splitlines() if ":" in line and line.startswith("  "))
    stack = settings.load(environ, Path("/dev/null"))
    running = {name for name, state in Supervisor(stack).states().items() if state.pid}
    assert running and running <= set(runs.split("; ")[0].strip().split(", "))
    assert "worker" in waits and "`make up` completes" in said
