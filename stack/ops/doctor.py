"""Checks of the machine and the state; each finding says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from stack.core import disk as room
from stack.core.settings import PREFIX, ROOT, Settings
from stack.ops import compose_file, credentials, ports, versions

GIB = 2**30
MEMORY_NEEDED, DISK_NEEDED = 3 * GIB, 3 * GIB
"""1.3 GiB of idle services and a training run; a year of flights with its reports and runs."""
TESTED = ((3, 11), (3, 13))
SECRETS = (*credentials.FIELDS, "lan_password_hash", "join_key", "alert_urls", "lake_remote")
"""Settings that nobody else on the machine should read."""


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    name: str
    good: bool
    found: str
    todo: str = ""

    def __str__(self) -> str:
        mark = "ok   " if self.good else "LOOK "
        return f"{mark} {self.name}: {self.found}" + (f"\n      -> {self.todo}" if not self.good else "")


def python(version: tuple[int, ...]) -> Finding:
    """Judge the interpreter's version."""
    text = ".".join(str(part) for part in version)
    oldest, newest = (".".join(str(part) for part in bound) for bound in TESTED)
    return Finding(
        "Python",
        TESTED[0] <= version <= TESTED[1],
        text,
        f"use a version from {oldest} to {newest}: delete .venv, then `make up PYTHON=python{newest}`",
    )


def packages() -> Finding:
    """Compare the installed packages with requirements.lock."""
    wrong = []
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        name, equals, rest = line.partition("==")
        if not equals or ";" in rest or line.startswith(" "):
            continue
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            installed = "missing"
        if installed != rest.strip(" \\"):
            wrong.append(f"{name} {installed}")
    return Finding(
        "packages",
        not wrong,
        f"differ from requirements.lock: {', '.join(wrong[:5])}" if wrong else "as in requirements.lock",
        "delete .venv and run `make up`",
    )


def secrets(settings: Settings, file: Path = credentials.FILE) -> Finding:
    """Judge who may read ``.env``, where it holds more than ports and folders."""
    held = [name for name in SECRETS if getattr(settings, name)]
    mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
    good = not (held and mode & 0o077)
    named = ", ".join(f"{PREFIX}{name}".upper() for name in held)
    return Finding(
        "secrets",
        good,
        "readable by you alone, or none" if good else f"{file} has mode {mode:o} and holds {named}",
        f"chmod 600 {file}",
    )


def disk(home: Path) -> Finding:
    """Judge the room left where the state lies."""
    free = room.free(home)
    stopped = "; ingestion has stopped" if free < room.RESERVE else ""
    return Finding(
        "disk",
        free >= DISK_NEEDED,
        f"{free / GIB:.1f} GiB free at {home}, {DISK_NEEDED / GIB:.0f} needed{stopped}",
        "free some space (docs/operations.md says what may go), or move the state with STACK_HOME",
    )


def memory(available: int, runs: bool) -> Finding:
    """Judge the memory left; a running stack has taken most of its share already."""
    needed = GIB if runs else MEMORY_NEEDED
    return Finding(
        "memory",
        available >= needed,
        f"{available / GIB:.1f} GiB available, {needed / GIB:.0f} needed",
        "end other programs, or lower training.trials in project.yaml",
    )


def state_versions(settings: Settings) -> Finding:
    """Compare the versions that wrote the state with the installed ones."""
    stored, current = versions.stored(settings), versions.current()
    changed = [f"{name} {stored[name]} -> {now}" for name, now in current.items() if stored.get(name, now) != now]
    return Finding(
        "state",
        not changed,
        f"written by other versions: {', '.join(changed)}" if changed else f"{settings.home}, by these versions",
        "run `make upgrade`, which makes a backup first: the next start migrates the databases",
    )


def taken(service: compose_file.Service, port: int) -> Finding:
    """Return the finding of a port that somebody else holds."""
    return Finding(
        f"port {port} of {service.name}",
        False,
        f"taken by {ports.holder(port)}",
        f"stop that process, or set {ports.key(service)} in .env",
    )
