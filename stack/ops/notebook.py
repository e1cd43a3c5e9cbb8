"""Jupyter with the environment of the running stack, for this machine alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from stack.core.settings import ROOT, Settings
from stack.ops import compose, docker, image

FOLDER = ROOT / "notebooks"
SERVICE = "notebook"
OPTIONS = (
    "--LabApp.default_url=/lab/tree/stack.ipynb",
    # Nothing is asked of the internet: no news, no look for a newer version, no catalogue of extensions.
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)


def command(settings: Settings) -> list[str]:
    """The command that opens Jupyter; it asks for the token that it prints."""
    return [sys.executable, *_jupyter(settings, str(FOLDER)), "--ServerApp.ip=127.0.0.1"]


def environment(settings: Settings, inherited: Mapping[str, str]) -> dict[str, str]:
    """What a shell has after ``eval "$(make env)"``."""
    path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
    return {**inherited, **compose.environment(settings), "PATH": path}


def contained(settings: Settings) -> tuple[list[str], dict[str, str]]:
    """The command that opens Jupyter in a container, where files and databases are, and its environment.

    Its image is built when it is missing or old. The notebooks are those of the checkout, written as the user's files.

    Raises:
        StackError: the image cannot be built.
    """
    image.build_with_jupyter()
    address = f"{settings.address('notebook')}/lab"
    listen = ("--ServerApp.ip=0.0.0.0", "--ServerApp.open_browser=False", "--allow-root")
    shown = f"--ServerApp.custom_display_url={address}"
    return within(settings, "--service-ports", SERVICE, "python", *_jupyter(settings, "/app/notebooks"), *listen, shown)


def within(settings: Settings, *words: str) -> tuple[list[str], dict[str, str]]:
    """A command in a container for notebooks (options, service, words), and the environment that Docker needs."""
    run = ["--profile", SERVICE, "run", "--rm", "--no-deps", *words]
    user = {"NOTEBOOK_USER": f"{os.getuid()}:{os.getgid()}"}
    return docker.command(settings, *run), docker.environment(settings) | user


def _jupyter(settings: Settings, folder: str) -> list[str]:
    port = f"--ServerApp.port={settings.notebook_port}"
    return ["-m", "jupyterlab", f"--ServerApp.root_dir={folder}", port, *OPTIONS]
