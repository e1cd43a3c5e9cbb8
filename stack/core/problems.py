"""Problems of a running stack: each with what to do, in the same words wherever a person reads them."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Self

from stack.core import files
from stack.core.errors import StackError
from stack.core.settings import Settings

FOLDER = "problems"


@dataclass(frozen=True)
class Problem:
    """Something that is wrong: what, in which way, and the next step."""

    title: str
    """Stays the same for as long as the problem lasts: alarms are counted by it."""
    text: str
    todo: str
    momentary: bool = False
    """Whether it may pass by itself within minutes, as a restart does; an alarm waits so long."""

    def __str__(self) -> str:
        return f"{self.title}: {self.text}\n  -> {self.todo}"

    @classmethod
    def of(cls, title: str, error: StackError) -> Self:
        """Return an error as a problem."""
        return cls(title, f"{error.where}: found {error.found}, expected {error.expected}", error.todo)


def record(settings: Settings, check: str, problems: Iterable[Problem]) -> None:
    """Keep the problems that a check has found until it is made again; a check that runs rarely has no other place."""
    found, path = [asdict(problem) for problem in problems], settings.run / FOLDER / f"{check}.json"
    if found or path.exists():
        files.write(path, json.dumps(found, indent=1))


def recorded(settings: Settings) -> Iterator[tuple[str, Problem]]:
    """Yield the problems that the last run of each check has found, with the name of the check."""
    for path in sorted((settings.run / FOLDER).glob("*.json")):
        with suppress(OSError, ValueError, TypeError):  # cut off by a power cut: the next check writes it anew
            yield from [(path.stem, Problem(**problem)) for problem in json.loads(path.read_text())]
