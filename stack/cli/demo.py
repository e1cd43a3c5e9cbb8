"""A demo: a replayed year of the flagship in a read-only stack of its own."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import click

from stack.cli.common import main, runtime_option

PROJECT = "flights"
HOME = Path(__file__).resolve().parents[2] / "demo"
PLAYED = HOME / "played"
"""The end of what has been played."""
OWN = {"HOME": str(HOME), "NAME": "homelab-mlops-demo", "TITLE": "Demo", "BACKUP_DAILY": "0"}
"""Settings in which the demo differs from the stack; its ports are the same."""


@main.command()
@click.option("--until", default="2013-12-31", show_default=True, help="Play to the end of this date (UTC).")
@click.option("--stop", is_flag=True, help="Stop it; what was played stays.")
@runtime_option
def demo(until: str, stop: bool, runtime: str | None) -> None:
    """Play a year of flights in a stack of its own, in the folder demo/, then show it read-only."""
    from stack.core import files
    from stack.core.clock import end_of

    own = OWN | {"RUNTIME": runtime or "auto"}
    if stop:
        _run(own, "down")
        return
    end = end_of(until)
    if not PLAYED.exists() or datetime.fromisoformat(PLAYED.read_text()) < end:
        _run(own, "up")
        _run(own, "replay", "--until", until, "--", PROJECT)
        _run(own, "report", PROJECT)
        files.write(PLAYED, end.isoformat())
    _run(own | {"READ_ONLY": "true"}, "up", "--no-pipeline")


def _run(own: dict[str, str], *words: str) -> None:
    """Run a command on the demo; end with its exit code when it fails."""
    environ = os.environ | {f"STACK_{name}": value for name, value in own.items()}
    code = subprocess.run([sys.executable, "-m", "stack", *words], env=environ, check=False).returncode
    if code:
        sys.exit(code)
