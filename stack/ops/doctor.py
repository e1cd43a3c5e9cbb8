"""Checks of the machine and the state; each finding says what to do."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import psutil

from stack.core import disk as room
from stack.core import saved, variables
from stack.core.disk import GIB
from stack.core.settings import ROOT, Settings
from stack.ops import credentials, ports, versions
from stack.ops.compose_file import Service

MEMORY_NEEDED = 3 * GIB
"""1.3 GiB of idle services and a training run."""
TESTED = ((3, 11), (3, 13))
SECRETS = (*credentials.FIELDS, "lan_password_hash", "join_key", "alert_urls", "lake_remote")
"""Settings that no other user of the machine should read."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    good: bool
    detail: str
    todo: str = ""

    def __str__(self) -> str:
        mark = "ok   " if self.good else "LOOK "
        return f"{mark} {self.name}: {self.detail}" + (f"\n      -> {self.todo}" if not self.good else "")


def python(version: tuple[int, ...]) -> Finding:
    """Judge the interpreter's version."""
    oldest, newest = (".".join(map(str, bound)) for bound in TESTED)
    todo = f"use a version from {oldest} to {newest}: delete .venv, then `make up PYTHON=python{newest}`"
    return Finding("Python", TESTED[0] <= version <= TESTED[1], ".".join(map(str, version)), todo)


def packages() -> Finding:
    """Compare the installed packages with requirements.lock, those that depend on the platform apart."""
    locked = re.findall(r"^(\S+)==(\S+)(?: \\)?$", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    versions_here = ((name, _installed(name), version) for name, version in locked)
    wrong = [f"{name} {installed}" for name, installed, version in versions_here if installed != version]
    detail = f"differ from requirements.lock: {', '.join(wrong[:5])}" if wrong else "as in requirements.lock"
    return Finding("packages", not wrong, detail, "delete .venv and run `make up`")


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "missing"


def secrets(settings: Settings, file: Path = credentials.FILE) -> Finding:
    """Judge who may read ``.env``, where it holds more than ports and folders."""
    browser = {*saved.FIELDS} - settings.model_fields_set
    names = [variables.key(name) for name in SECRETS if getattr(settings, name) and name not in browser]
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    exposed = bool(names and mode & 0o077)
    detail = f"{file} has mode {mode:o} and holds {', '.join(names)}" if exposed else "readable by you alone, or none"
    return Finding("secrets", not exposed, detail, f"chmod 600 {file}")


def disk(settings: Settings) -> list[Finding]:
    """Judge the room left where the state lies; too little of it is one of the stack's problems."""
    return [] if room.problems(settings) else [Finding("disk", True, room.free_space(settings))]


def memory(*, running: bool, available: int | None = None) -> Finding:
    """Judge the memory left; a running stack has taken most of its share already."""
    free = psutil.virtual_memory().available if available is None else available
    needed = GIB if running else MEMORY_NEEDED
    detail = f"{free / GIB:.1f} GiB available, {needed / GIB:.0f} needed"
    return Finding("memory", free >= needed, detail, "end other programs, or lower training.trials in project.yaml")


def state_versions(settings: Settings) -> Finding:
    """Compare the versions that wrote the state with the installed ones."""
    changed = versions.changes(versions.stored(settings))
    detail = f"written by other versions: {', '.join(changed)}" if changed else f"{settings.home}, by these versions"
    todo = "run `make upgrade`, which makes a backup first: the next start migrates the databases"
    return Finding("state", not changed, detail, todo)


def taken_ports(settings: Settings, services: Iterable[Service]) -> list[Finding]:
    """Return a finding for each port of services that another process holds."""
    return [
        Finding(f"port {port} of {service}", False, problem, todo)
        for service, port, problem, todo in ports.conflicts(settings.bind, services)
    ]
