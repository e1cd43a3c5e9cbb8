"""Texts of project.yaml that hold the window and secrets: ``{since}``, ``{until:%Y-%m-%d}``, ``${NAME}``."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from stack.core import secrets
from stack.sources import Query

INSTANT = re.compile(r"(?<!\$)\{(since|until)(?::([^{}]*))?\}")


def fill(text: str, query: Query, zone: str, where: str) -> str:
    """Return a text with the window, in UTC or as its format says, and with its secrets.

    Args:
        zone: of formats like ``%H``.
        where: the key of the text, for an error.
    """
    filled = INSTANT.sub(lambda found: written(getattr(query, found[1]), found[2] or "", zone), text)
    return secrets.resolve(filled, where)


def written(at: datetime, form: str, zone: str) -> str:
    """Return an instant in a form: ISO 8601 when empty, `unix`, `unix_ms`, or one of `strftime`."""
    if form in ("unix", "unix_ms"):
        return str(int(at.timestamp() * (1000 if form == "unix_ms" else 1)))
    if form:
        return at.astimezone(ZoneInfo(zone)).strftime(form)
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
