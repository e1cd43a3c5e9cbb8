"""The reach into Prefect still exists in the installed version."""

import subprocess
import sys

import prefect

CHANGED = f"prefect {prefect.__version__} has changed; see services/orchestration/_compat.py"


def test_server_start_is_a_command_of_the_module():
    command = [sys.executable, "-m", "prefect", "server", "start", "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0 and "--port" in shown.stdout, CHANGED
