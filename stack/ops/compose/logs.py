"""The logs of the containers."""

import subprocess
from collections.abc import Iterator

from stack.core.settings import Settings
from stack.ops import status
from stack.ops.compose import docker


def lines(settings: Settings, service: str | None, count: int, follow: bool) -> Iterator[str]:
    """Yield the last lines of a service's log, or of all logs, then those that are written."""
    if service:
        containers = docker.containers(settings)
        status.require_log(service, containers, "no such container")
        service = containers[service].service
    words = ["logs", "--no-color", "--tail", str(count), *(["--follow"] if follow else [])]
    words += ["--no-log-prefix", service] if service else []
    with docker.started(settings, *docker.EVERYTHING, *words, stdout=subprocess.PIPE) as process:
        yield from (line.rstrip("\n") for line in process.stdout or ())
