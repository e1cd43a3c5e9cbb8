"""What the environment for a shell and for Jupyter has in common in every runtime."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.core.settings import ROOT, Settings

# MLflow refuses even skops files with the third; a user may load models of their own.
NOT_FOR_SHELLS = ("NO_COLOR", "PYTHONUNBUFFERED", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION")
NOTEBOOKS = ROOT / "notebooks"
OPTIONS = (
    "--LabApp.default_url=/lab/tree/stack.ipynb",
    # Nothing is asked of the internet: no news, no newer version, no catalogue of extensions.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def export_lines(environment: Mapping[str, str], inherited: Mapping[str, str]) -> str:
    """Return shell commands that export variables and put the virtual environment on the PATH of a shell."""
    bin_folder = str(Path(sys.executable).parent)
    rest = [folder for folder in inherited.get("PATH", "").split(":") if folder and folder != bin_folder]
    shared = {key: value for key, value in environment.items() if key not in NOT_FOR_SHELLS}
    variables = shared | {"PATH": ":".join([bin_folder, *rest])}
    return "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())


def jupyter(settings: Settings, folder: str) -> list[str]:
    """Return Python's arguments that open Jupyter on a folder."""
    port = f"--ServerApp.port={settings.notebook_port}"
    return ["-m", "jupyterlab", f"--ServerApp.root_dir={folder}", port, *OPTIONS]
