"""The environment for a shell in which `mlflow`, `feast`, `dvc` and `prefect` work on the running stack."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.core.settings import Settings
from stack.ops import compose

# MLflow refuses even skops files with the third; a user may load models of their own.
NOT_FOR_SHELLS = ("NO_COLOR", "PYTHONUNBUFFERED", "MLFLOW_ALLOW_PICKLE_DESERIALIZATION")


def exports(settings: Settings, inherited: Mapping[str, str]) -> str:
    """Write shell commands that export the services' shared environment and put the virtual environment on PATH.

    Args:
        settings: of the stack.
        inherited: the environment of the shell.
    """
    return lines(compose.environment(settings), inherited)


def lines(environment: Mapping[str, str], inherited: Mapping[str, str]) -> str:
    """Write shell commands that export variables and put the virtual environment on PATH."""
    bin_folder = str(Path(sys.executable).parent)
    rest = [one for one in inherited.get("PATH", "").split(":") if one and one != bin_folder]
    shared = {key: value for key, value in environment.items() if key not in NOT_FOR_SHELLS}
    variables = shared | {"PATH": ":".join([bin_folder, *rest])}
    return "\n".join(f"export {key}={shlex.quote(value)}" for key, value in variables.items())
