"""What keeps the containers of a stack from running well."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from stack.core.settings import Settings
from stack.ops import compose_file, doctor, ports
from stack.ops.compose import docker, image, ownership, status
from stack.ops.doctor import Finding


def findings(settings: Settings, *, running: bool) -> list[Finding]:
    """Check the engine, secrets, disk, memory, the image, and every service."""
    problem = docker.engine()
    if problem:
        return [Finding("Docker", False, problem, "install Docker with Compose v2, or use `make up RUNTIME=local`")]
    if checkout := ownership.foreign_checkout(settings):
        name = f"containers and volumes of the name {settings.name} belong to {checkout}"
        return [Finding("STACK_NAME", False, name, "set STACK_NAME and other ports in .env")]
    return [
        Finding("Docker", True, "an engine with Compose answers"),
        doctor.secrets(settings),
        doctor.disk(settings.home),
        doctor.memory(psutil.virtual_memory().available, running),
        *([_image()] if running else []),
        *_services(settings, running),
    ]


def _image() -> Finding:
    old = image.outdated()
    return Finding("image", not old, "other files than the checkout" if old else "as the checkout", "make up")


def _services(settings: Settings, running: bool) -> Iterator[Finding]:
    if running:
        for row in status.rows(settings):
            yield Finding(row.name, row.well, row.health, f"make logs SERVICE={row.name}")
        return
    for service in compose_file.services(settings):
        for port in service.ports:
            if ports.taken(settings.bind, port):
                yield doctor.taken(service, port)
