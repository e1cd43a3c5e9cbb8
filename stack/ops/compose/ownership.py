"""The checkout that owns containers and volumes: two with the same STACK_NAME would share them unnoticed.

Docker Compose says of a container which folder it comes from, and nothing of a volume. So the volume of the state is
made here before Compose would make it, with a label that says it.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.ops.compose import docker

LABEL = "homelab-mlops.checkout"
VOLUME = "state"
"""Every stack has it."""


def claim(settings: Settings) -> None:
    """Make the volume of the state as this checkout's, unless it exists."""
    ours = {LABEL: str(ROOT), docker.PROJECT: settings.name, "com.docker.compose.volume": VOLUME}
    options = [word for key, value in ours.items() for word in ("--label", f"{key}={value}")]
    ran = docker.run("volume", "create", *options, f"{settings.name}_{VOLUME}")
    if ran.returncode:
        raise docker.failure(f"volume {settings.name}_{VOLUME}", ran.stderr.strip())


def labels(settings: Settings) -> Mapping[str, str]:
    """Return the labels of the state's volume; none where there is no such volume, or no engine answers."""
    ran = docker.run("volume", "inspect", "--format", "{{json .Labels}}", f"{settings.name}_{VOLUME}")
    return {} if ran.returncode else json.loads(ran.stdout) or {}


def foreign_checkout(settings: Settings) -> str | None:
    """Return the folder of another checkout that owns containers or volumes of this name, if any."""
    return other(
        [labels(settings).get(LABEL, ""), *(container.checkout for container in docker.containers(settings).values())]
    )


def other(folders: Iterable[str], own: Path = ROOT) -> str | None:
    """Return the first of some folders that holds another checkout than `own`.

    A folder that is gone has been moved or deleted: what is left of it belongs to whoever goes on with it.
    """
    there = sorted(folder for folder in set(folders) if folder and Path(folder, "docker-compose.yml").exists())
    return next((folder for folder in there if Path(folder).resolve() != own), None)


def require_own(settings: Settings) -> None:
    """Refuse to touch the containers and volumes of another checkout, and name it."""
    if checkout := foreign_checkout(settings):
        raise StackError(
            f"STACK_NAME {settings.name}",
            found=f"containers and volumes of {checkout}",
            expected="a name of this checkout's own",
            todo="set STACK_NAME and other ports in .env; to go on with that state here, `make backup` there and "
            "`make restore` here",
        )
