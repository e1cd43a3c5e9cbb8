"""A backup that a container asks for: it is made by the service that sees all databases and the folder of backups."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from stack.core import files
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.wait import wait_until

PATIENCE_SECONDS = 3600.0


class Request(BaseModel):
    """A request, and what became of it."""

    state: Literal["asked", "done", "failed"] = "asked"
    lines: list[str] = []
    """What is said meanwhile."""


def path(stack: Settings) -> Path:
    """Return the file of the last request."""
    return stack.run / "backup-request.json"


def read(stack: Settings) -> Request | None:
    """Return the last request, if there was one."""
    try:
        return Request.model_validate_json(path(stack).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def ask(stack: Settings, report: Reporter) -> Path:
    """Ask for a backup, report what is said until it has ended, and return the folder that it is in.

    Raises:
        StackError: it failed, or there is no end of it.
    """
    _write(stack, Request())
    report("the service backups makes it, within seconds")
    reported = 0

    def ended() -> Request | None:
        nonlocal reported
        request = read(stack) or Request()
        for line in request.lines[reported:]:
            report(line)
        reported = len(request.lines)
        return request if request.state != "asked" else None

    request = wait_until(ended, PATIENCE_SECONDS)
    if request is None or request.state == "failed":
        found = "no end of it" if request is None else "it failed"
        raise StackError("backup", found=found, expected="an archive", todo="make logs SERVICE=backups, on the machine")
    return stack.backup_folder


def serve(stack: Settings, now: datetime, report: Reporter) -> None:
    """Make the backup that is asked for, if any; that of a process which was killed is made anew."""
    if (request := read(stack)) is None or request.state != "asked":
        return
    from stack.ops import backups

    request.lines.clear()

    def note(line: str) -> None:
        report(line)
        request.lines.append(line)
        _write(stack, request)

    try:
        backups.create(stack, stack.backup_folder, now, note)
        request.state = "done"
    except Exception as error:  # noqa: BLE001  # who has asked waits for any end
        note(str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}")
        request.state = "failed"
    _write(stack, request)


def _write(stack: Settings, request: Request) -> None:
    files.write(path(stack), request.model_dump_json(indent=1), mode=0o600)
