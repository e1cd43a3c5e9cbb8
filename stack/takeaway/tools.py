"""Run the tools that build packages and pipelines, each in a process of its own."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import ROOT
from stack.specification.specs import ProjectSpec

LOCK, SCRIPT = ROOT / "requirements-export.lock", ROOT / "stack/takeaway/kubeflow.py"


def run(
    command: Sequence[object],
    where: str,
    *,
    expected: str,
    todo: str = "",
    folder: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Return the output of a command; where it fails, raise a StackError with the last three lines of its errors."""
    parts = [str(part) for part in command]
    result = subprocess.run(parts, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if result.returncode:
        found = " | ".join((result.stderr or result.stdout).strip().splitlines()[-3:])
        raise StackError(where, found=found, expected=expected, todo=todo)
    return result.stdout


def kubeflow(spec: ProjectSpec, image: str, until: datetime, out: Path) -> Path:
    """Compile the pipeline for Kubeflow, with kfp in an environment of its own, which uv creates and keeps.

    Args:
        image: the stack's image as the cluster pulls it.
        until: end of the window when a run names none.
        out: folder for the file.
    """
    path = out.resolve() / f"{spec.name}-kubeflow.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = [spec.name, image, spec.clock.start.isoformat(), until.isoformat(), path]
    uv = [Path(sys.executable).parent / "uv", "run", "--isolated", "--no-project", "--quiet"]
    command = [*uv, "--python", sys.executable, "--with-requirements", LOCK, "python", SCRIPT, *arguments]
    todo = "uv installs the packages at the first call: is there a connection, or a cache?"
    run(command, "Kubeflow's compiler", expected=f"kfp of {LOCK.name}, and a pipeline", todo=todo)
    return path
