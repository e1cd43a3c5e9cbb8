"""Where the time of a replay goes: the seconds of each step, kept by replayed day; off, a step costs nothing.

``<pages>/<project>/profile/<instant>-<part>.json`` holds the steps of a part of a day, in one process. The file
``active`` there tells the processes that take part, a training above all, to record theirs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Literal

from stack.core import files
from stack.core.settings import Settings

Part = Literal["day", "review", "training", "ahead"]
ACTIVE, INSTANT = "active", "%Y%m%dT%H%M%SZ"
OTHER = "other"
"""The step of all time that no other step takes."""


@dataclass
class Cost:
    """What a step took, the steps within it left out."""

    seconds: float = 0.0
    core_seconds: float = 0.0
    """Of this process, all threads."""
    calls: int = 0


@dataclass
class _Recording:
    """The steps of a process; ``within`` has the seconds and core seconds of the steps within each that is open."""

    costs: dict[str, Cost] = field(default_factory=dict)
    within: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True)
class Recorded:
    """The steps of a part of a day."""

    at: datetime
    """The end of a day; the instant of a review or training."""
    part: Part
    steps: dict[str, Cost]


_current: ContextVar[_Recording | None] = ContextVar("recording", default=None)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Count the time of the context as a step's, where this thread records."""
    recording = _current.get()
    if recording is None:
        yield
        return
    recording.within.append([0.0, 0.0])
    began = perf_counter(), process_time()
    try:
        yield
    finally:
        spent = perf_counter() - began[0], process_time() - began[1]
        within, cost = recording.within.pop(), recording.costs.setdefault(name, Cost())
        cost.seconds += spent[0] - within[0]
        cost.core_seconds += spent[1] - within[1]
        cost.calls += 1
        if recording.within:
            recording.within[-1][0] += spent[0]
            recording.within[-1][1] += spent[1]


@contextmanager
def recording(settings: Settings, project: str, at: datetime, part: Part) -> Iterator[None]:
    """Record the steps of the context where the project's profile is on; recorded again, they replace the former."""
    folder = _folder(settings, project)
    if not (folder / ACTIVE).exists():
        yield
        return
    current = _Recording()
    token = _current.set(current)
    try:
        with step(OTHER):
            yield
    finally:
        _current.reset(token)
    content = {name: asdict(cost) for name, cost in current.costs.items()}
    files.write(folder / f"{at.astimezone(UTC):{INSTANT}}-{part}.json", json.dumps(content, indent=1))


def switch(settings: Settings, project: str, on: bool) -> None:
    """Let the processes of a project record their steps, or no longer."""
    active = _folder(settings, project) / ACTIVE
    if on:
        files.write(active, "")
    else:
        active.unlink(missing_ok=True)


def recorded(settings: Settings, project: str) -> list[Recorded]:
    """Return all that was recorded of a project, by rising instant."""
    found = []
    for path in sorted(_folder(settings, project).glob("*-*.json")):
        instant, _, part = path.stem.partition("-")
        at = datetime.strptime(instant, INSTANT).replace(tzinfo=UTC)
        steps = {name: Cost(**cost) for name, cost in json.loads(path.read_text()).items()}
        found.append(Recorded(at, part, steps))  # type: ignore[arg-type]
    return found


def _folder(settings: Settings, project: str) -> Path:
    return settings.pages / project / "profile"
