"""What the environment for a shell and for Jupyter has in common in every runtime."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.core.settings import ROOT, Settings
from stack.core.variables import key

# MLflow refuses even skops files with the third; a user may load models of their own.
NOT_FOR_SHELLS = ("NO_COLOR", "PYTHONUNBUFFERED", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION")
SECRETS = frozenset(key(name) for name, field in Settings.model_fields.items() if not field.repr)
"""Shells do without: the stack's own commands read ``.env``."""
ADDRESSES = frozenset({"STACK_FEAST_REGISTRY", "STACK_STATE_DATABASE", "STACK_ONLINE_STORE"})
"""No secrets as long as they hold no password; the `feast` command needs the first and the last."""
NOTEBOOKS = ROOT / "notebooks"
OPTIONS = (
    "--LabApp.default_url=/lab/tree/stack.ipynb",
    # Nothing is asked of the internet: no news, no newer version, no catalogue of extensions.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def export_lines(environment: Mapping[str, str], inherited: Mapping[str, str], *, secrets: bool) -> str:
    """Return shell commands that export variables and put the virtual environment on the PATH of a shell.

    Args:
        environment: the variables.
        inherited: the shell's own, for its PATH.
        secrets: export secrets too; else a comment names those that are left out.
    """
    bin_folder = str(Path(sys.executable).parent)
    rest = [folder for folder in inherited.get("PATH", "").split(":") if folder and folder != bin_folder]
    shared = {key: value for key, value in environment.items() if key not in NOT_FOR_SHELLS}
    left_out = [] if secrets else [key for key, value in shared.items() if _is_secret(key, value)]
    variables = shared | {"PATH": ":".join([bin_folder, *rest])}
    lines = [f"export {key}={shlex.quote(value)}" for key, value in variables.items() if key not in left_out]
    return "\n".join([*lines, *(f"# {key} is left out; make env SECRETS=1 exports it" for key in left_out)])


def _is_secret(key: str, value: str) -> bool:
    return bool(value) and key in SECRETS and (key not in ADDRESSES or "@" in value or "password=" in value)


def jupyter(settings: Settings, folder: str) -> list[str]:
    """Return Python's arguments that open Jupyter on a folder."""
    port = f"--ServerApp.port={settings.notebook_port}"
    return ["-m", "jupyterlab", f"--ServerApp.root_dir={folder}", port, *OPTIONS]
