"""Jupyter with the environment of the running stack, on this machine alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.runtime import compose
from stack.settings import ROOT, Settings

FOLDER = ROOT / "notebooks"
OPTIONS = (
    "--ServerApp.ip=127.0.0.1",
    "--LabApp.default_url=/lab/tree/stack.ipynb",
    # Nothing is asked of the internet: no news, no look for a newer version, no catalogue of extensions.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def command() -> list[str]:
    """The command that opens Jupyter; it asks for the token that it prints."""
    return [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={FOLDER}", *OPTIONS]


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a shell has after ``eval "$(make env)"``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return {**inherited, **compose.environment(settings), "PATH": path}
