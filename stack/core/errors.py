"""Errors for the user: the place, the finding, the expectation and the next step."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import partial
from typing import Any


class StackError(Exception):
    """A problem that the user can fix.

    Args:
        where: the file and field, the service or the batch that is wrong.
        todo: the next step, as a command or an edit.
    """

    def __init__(self, where: str, *, found: str, expected: str, todo: str = "") -> None:
        self.where, self.found, self.expected, self.todo = where, found, expected, todo
        indented = found.replace("\n", "\n" + " " * 12)
        lines = [f"{where}:", f"  found     {indented}", f"  expected  {expected}"]
        super().__init__("\n".join([*lines, f"  to do     {todo}"] if todo else lines))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pass the error from one process to another, which pickle does with positional arguments alone."""
        return partial(type(self), self.where, found=self.found, expected=self.expected, todo=self.todo), ()


class UnavailableError(StackError):
    """Something that cannot be reached at the moment: another try may succeed."""


def no_answer(where: str, error: Exception, todo: str) -> UnavailableError:
    """Return the error about a service that does not answer, from what its client raised."""
    return UnavailableError(where, found=str(error) or type(error).__name__, expected="an answer", todo=todo)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``", did you mean 'x'?"`` for a misspelt name; an empty string where no known name is near."""
    match = meant(name, known)
    return f", did you mean {match!r}?" if match else ""


def meant(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to a misspelt one; None when none is near."""
    names = {candidate.lower(): candidate for candidate in known}
    return next((names[close] for close in get_close_matches(name.lower(), names, n=1, cutoff=0.6)), None)
