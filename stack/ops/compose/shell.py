"""The environment in which the tools' own commands and Jupyter work on the containers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from stack.core.settings import Settings
from stack.ops import compose_file
from stack.ops.compose import docker, image
from stack.ops.runtime import Command
from stack.ops.shell import export_lines, jupyter

SERVICE = "notebook"


def exports(settings: Settings, inherited: Mapping[str, str]) -> str:
    """Return exports of what is reached from outside; `feast` and `dvc` run in a container, where their files are."""
    inside = {"STACK_BIND", "STACK_ONLINE_STORE_TYPE", "FEAST_FS_YAML_FILE_PATH"}
    shared = compose_file.environment(settings)
    reachable = {key: value for key, value in shared.items() if key not in inside and str(settings.home) not in value}
    run = f"docker exec --interactive --workdir {{}} {docker.container(settings)}"
    return "\n".join(
        [
            export_lines(reachable, inherited),
            f'feast() {{ {run.format("/app/feature_repo")} feast "$@"; }}',
            f'dvc() {{ {run.format("/var/lib/stack/lake")} dvc "$@"; }}',
        ]
    )


def notebook(settings: Settings) -> Command:
    """Return the command that opens Jupyter in a container, where files and databases are.

    Its image is built when it is missing or old. The notebooks are those of the checkout, written as the user's files.

    Raises:
        StackError: the image cannot be built.
    """
    image.build_with_jupyter()
    listen = ("--ServerApp.ip=0.0.0.0", "--ServerApp.open_browser=False", "--allow-root")
    shown = f"--ServerApp.custom_display_url={settings.address('notebook')}/lab"
    words = ("--service-ports", SERVICE, "python", *jupyter(settings, "/app/notebooks"), *listen, shown)
    return in_notebook_container(settings, *words)


def in_notebook_container(settings: Settings, *words: str) -> Command:
    """Return a command in a container for notebooks: options, service, words."""
    run = ["--profile", SERVICE, "run", "--rm", "--no-deps", *words]
    user = {"NOTEBOOK_USER": f"{os.getuid()}:{os.getgid()}"}
    return docker.command(settings, *run), docker.environment(settings) | user
