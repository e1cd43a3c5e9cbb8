"""Do what stops the services of a stack, the portal among them, when the portal has asked for it.

``python -m stack.ops.unattended restart`` and ``... restore ARCHIVE`` run as processes of their own, outside the
supervisor. How far one is stands in a file of the home, which the portal shows when it is back.
"""

import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Literal

import psutil
from pydantic import AwareDatetime, BaseModel, ValidationError

from stack.core import files
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings, settings

CALLER = "UNATTENDED_CALLER"
"""Environment variable with who has asked for it."""


class Progress(BaseModel):
    """How far a task is."""

    title: str
    pid: int
    began: AwareDatetime
    state: Literal["running", "done", "failed"] = "running"
    lines: list[str] = []

    @property
    def running(self) -> bool:
        """Whether it is at work; False also where its process has been killed."""
        try:
            return self.state == "running" and psutil.Process(self.pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def path(stack: Settings) -> Path:
    """Return the file with the progress of the last task."""
    return stack.run / "unattended.json"


def log(stack: Settings) -> Path:
    """Return the log, which goes aside with the old state in a restore."""
    return stack.logs / "unattended.log"


def read(stack: Settings) -> Progress | None:
    """Return the progress of the last task, if there was one."""
    try:
        return Progress.model_validate_json(path(stack).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def begin(stack: Settings, words: Sequence[str], pid: int) -> Progress:
    """Say that a process has been started for a task, before it can say so itself: a second one is refused."""
    progress = Progress(title=_title(words), pid=pid, began=datetime.now(UTC))
    files.write(path(stack), progress.model_dump_json(indent=1), mode=0o600)
    return progress


def _title(words: Sequence[str]) -> str:
    return " ".join([*words[:1], *(Path(word).name for word in words[1:])])


def restart(stack: Settings, report: Reporter) -> None:
    """Take up what `.env` says now; services whose settings have changed are started anew."""
    from stack.ops import runtimes

    runtimes.current(stack).up(report)


def restore(stack: Settings, archive_file: Path, report: Reporter) -> None:
    """Stop the stack, bring back an archive and start it; the state before it is moved aside.

    Raises:
        StackError: the archive is not whole, or cannot be restored here. The stack runs again then, as it was.
    """
    from stack.ops import archive, runtimes, versions

    report(f"reading {archive_file}")
    archive.verify(archive_file)
    runtime = runtimes.current(stack)
    report(f"stopped: {', '.join(runtime.down())}")
    try:
        runtime.restore(archive_file, datetime.now(UTC), report, replace=True)
    finally:
        if versions.file(stack).exists():  # else it would start without any state
            report("starting the services")
            runtime.up(report)


def run(stack: Settings, title: str, task: Callable[[Reporter], None], caller: str) -> int:
    """Do a task, keep its progress, and record it in the audit; return the exit code."""
    from stack.ops import versions

    progress = Progress(title=title, pid=os.getpid(), began=datetime.now(UTC))

    def write() -> None:
        if versions.file(stack).exists():  # not while a restore prepares the home
            files.write(path(stack), progress.model_dump_json(indent=1), mode=0o600)

    def report(line: str) -> None:
        print(line, flush=True)
        progress.lines.append(line)
        write()

    write()
    try:
        task(report)
        progress.state = "done"
    except Exception as error:  # noqa: BLE001  # nobody else would hear of it
        report(str(error) if isinstance(error, StackError) else f"{type(error).__name__}: {error}")
        progress.state = "failed"
    write()
    _record(stack, progress, caller)
    return 0 if progress.state == "done" else 1


def _record(stack: Settings, progress: Progress, caller: str) -> None:
    """Record the end of a task in the audit that is there now: a restore has brought back an older one."""
    from stack.access import actions
    from stack.access.actions import Action
    from stack.ops import versions

    if versions.file(stack).exists():
        last = progress.lines[-1] if progress.lines else ""
        outcome = progress.state if progress.state == "done" else f"failed: {last}"
        actions.record(stack.state_database, Action(caller, "", progress.title, {}, outcome, datetime.now(UTC)))


def main(words: list[str]) -> int:
    """Do the task that the words of the command name."""
    caller, stack = os.environ.pop(CALLER, ""), settings()
    task = partial(restore, stack, Path(words[1])) if words[0] == "restore" else partial(restart, stack)
    return run(stack, _title(words), task, caller)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
