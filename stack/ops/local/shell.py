"""The environment in which the tools' own commands and Jupyter work on the stack."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.core.settings import Settings
from stack.ops import compose_file
from stack.ops.runtime import Command
from stack.ops.shell import NOTEBOOKS, export_lines, jupyter


def exports(settings: Settings, inherited: Mapping[str, str]) -> str:
    """Return shell commands that export the services' shared environment and put the virtual environment on PATH."""
    return export_lines(compose_file.environment(settings), inherited)


def notebook(settings: Settings, inherited: Mapping[str, str]) -> Command:
    """Return the command that opens Jupyter for this machine alone; it asks for the token that it prints."""
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    command = [sys.executable, *jupyter(settings, str(NOTEBOOKS)), "--ServerApp.ip=127.0.0.1"]
    return command, {**inherited, **compose_file.environment(settings), "PATH": path}
