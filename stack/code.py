"""The version of the code that a run was made with."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version as installed

from stack.settings import ROOT


def version() -> str:
    """The git commit of the checkout, with ``-dirty`` when it differs from it; the package's version without git.

    The image, which has no checkout, carries what this said when it was built in ``CODE_VERSION``.
    """
    if recorded := os.environ.get("CODE_VERSION"):
        return recorded
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
