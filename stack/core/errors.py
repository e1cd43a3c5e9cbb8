"""The errors a user is meant to read: where, what was found, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class StackError(Exception):
    """A problem that the user can fix.

    Args:
        where: the file and field, the service or the batch that is wrong.
        found: what is there.
        expected: what should be there.
        todo: the next step, as a command or an edit.
    """

    def __init__(self, where: str, *, found: str, expected: str, todo: str = "") -> None:
        self.where, self.found, self.expected, self.todo = where, found, expected, todo
        lines = [f"{where}:", f"  found     {found}", f"  expected  {expected}"]
        super().__init__("\n".join([*lines, f"  to do     {todo}"] if todo else lines))


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is meant by a misspelt one: ``", did you mean 'x'?"`` or an empty string."""
    match = meant(name, known)
    return f", did you mean {match!r}?" if match else ""


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest to a misspelt one; None when none is near."""
    names = {one.lower(): one for one in known}
    close = get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return names[close[0]] if close else None
