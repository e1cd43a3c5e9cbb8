"""Take the stack to the checkout's version: archive, stop, install, start; and how to go back."""

import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import ROOT, Settings
from stack.ops import archive, runtimes, versions
from stack.ops.runtimes import Runtime


def upgrade(settings: Settings, out: Path, at: datetime, report: Reporter) -> None:
    """Bring packages and state to the version that is checked out; the services migrate their databases at the start.

    Raises:
        StackError: a step failed; says how to go back.
    """
    chosen = runtimes.current(settings)
    file = chosen.backup(out, at, report)
    before = archive.verify(file).versions
    back = _way_back(before, file, chosen)
    report("stopping the services")
    chosen.down()
    report("installing the locked packages")
    # Both run with what is installed by then, which this process is not.
    for step in (["stack.ops.bootstrap"], ["stack", "up", "--no-pipeline", "--runtime", chosen.name]):
        ended = subprocess.run([sys.executable, "-m", *step], cwd=ROOT, check=False)
        if ended.returncode:
            raise StackError(
                f"upgrade, python -m {' '.join(step)}",
                found=f"exit code {ended.returncode}",
                expected="0",
                todo=f"read the lines above; to go back: {back}",
            )
    report(f"upgraded: {', '.join(versions.changes(before)) or 'the versions are the same'}\nto go back: {back}")


def _way_back(before: Mapping[str, str | int], file: Path, runtime: Runtime) -> str:
    """Return the commands that undo an upgrade."""
    code = str(before.get("code", "<the commit you had>")).removesuffix("-dirty")
    empty, aside = ("make down", " YES=1") if runtime.moves_state_aside else ("make clean YES=1", "")
    restore = f"make restore FILE={file} RUNTIME={runtime.name}{aside}"
    return f"{empty} && git checkout {code} && {restore} && make up RUNTIME={runtime.name}"
