"""Export a project's pipeline as a file for another orchestrator."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from stack.core.settings import ROOT
from stack.specification.specs import ProjectSpec
from stack.takeaway import tools

LOCK = ROOT / "requirements-export.lock"
SCRIPT = ROOT / "stack/takeaway/kubeflow.py"


def kubeflow(spec: ProjectSpec, image: str, until: datetime, out: Path) -> Path:
    """Compile the pipeline for Kubeflow, with kfp in an environment of its own, made and kept by uv.

    Args:
        image: the stack's image as the cluster pulls it.
        until: end of the window when a run names none.
        out: folder for the file; made if it is missing.

    Raises:
        StackError: the packages of requirements-export.lock cannot be had, or the compiler refuses.
    """
    path = out.resolve() / f"{spec.name}-kubeflow.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    arguments = [spec.name, image, spec.clock.start.isoformat(), until.isoformat(), path]
    uv = [Path(sys.executable).parent / "uv", "run", "--isolated", "--no-project", "--quiet"]
    command = [*uv, "--python", sys.executable, "--with-requirements", LOCK, "python", SCRIPT, *arguments]
    todo = "uv installs the packages at the first call: is there a connection, or a cache?"
    tools.run(command, "Kubeflow's compiler", expected=f"kfp of {LOCK.name}, and a pipeline", todo=todo)
    return path
