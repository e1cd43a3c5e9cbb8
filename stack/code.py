"""The version of the code that a run was made with."""

from __future__ import annotations

import subprocess
from importlib.metadata import version as installed

from stack.settings import ROOT


def version() -> str:
    """The git commit of the checkout, with ``-dirty`` when it differs from it; the package's version without git."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return installed("homelab-mlops")
    return described.stdout.strip()
