"""A short soak: whatever is killed under load, nothing that was acknowledged is lost and nothing is there twice."""

import subprocess
import sys

import pytest

from stack.core.settings import ROOT

pytestmark = [pytest.mark.services, pytest.mark.slow]


def test_account_of_three_minutes_of_kills() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "3", "--seed", "1"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=1800)
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
