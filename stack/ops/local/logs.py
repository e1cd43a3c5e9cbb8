"""The log file of each service: its end, and what is added to it."""

import time
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from stack.core.settings import Settings
from stack.ops import status

CHUNK = 64 * 1024


def file(settings: Settings, name: str) -> Path:
    """Return the log file of a service."""
    return settings.logs / f"{name}.log"


def tail(settings: Settings, name: str, count: int) -> list[str]:
    """Return the last lines of a service's log; none when it has not written any."""
    path = file(settings, name)
    if not path.exists():
        return []
    with path.open("rb") as opened:
        opened.seek(max(0, path.stat().st_size - CHUNK))
        return opened.read().decode(errors="replace").splitlines()[-count:] if count else []


def lines(settings: Settings, service: str | None, count: int, follow: bool) -> Iterator[str]:
    """Yield the last lines of a service's log, or of all logs, then those that are written."""
    names = sorted(path.stem for path in settings.logs.glob("*.log"))
    if service:
        status.require_log(service, names, f"no such log in {settings.logs}")
    wanted = [service] if service else names
    width = max((len(name) for name in wanted), default=0)
    entries = ((name, line) for name in wanted for line in tail(settings, name, count))
    for name, line in chain(entries, _added(settings, wanted) if follow else ()):
        yield f"{name:<{width}} | {line}" if len(wanted) > 1 else line


def _added(settings: Settings, wanted: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (service, line) as lines are written, for ever; a rotated file is read from its beginning."""
    positions = {name: file(settings, name).stat().st_size for name in wanted}
    while True:
        for name in wanted:
            path = file(settings, name)
            size = path.stat().st_size if path.exists() else 0
            start = positions[name] if size >= positions[name] else 0
            if size == start:
                positions[name] = start
                continue
            with path.open("rb") as opened:
                opened.seek(start)
                whole, newline, _ = opened.read().rpartition(b"\n")
            positions[name] = start + len(whole) + len(newline)
            yield from ((name, line) for line in whole.decode(errors="replace").splitlines())
        time.sleep(0.3)
