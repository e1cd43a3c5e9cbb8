"""Bring the features of pushed rows online: ``python -m services.worker.online``, a child of the worker.

It runs where a project takes pushed rows, and is started anew when a project changes. It ends with the worker.
"""

import logging
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import settings
from stack.project import Project
from stack.specification import specs
from stack.specification.sources import Push

SECONDS, SYNC_SECONDS = 0.5, 5.0
"""Between two looks at the inboxes, longer where a look takes longer; and at the files of projects."""
COMMAND = [sys.executable, "-m", "services.worker.online"]
logger = logging.getLogger("stack.online")


class Child:
    """The process, as far as one is needed."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self._files: dict[Path, int] = {}

    def sync(self) -> None:
        """Start it where a project takes pushed rows; anew when it has ended, or the files of projects have changed."""
        files, running = _files(), self.process
        if files == self._files and (running is None or running.poll() is None):
            return
        if running:
            running.kill()
            running.wait()
        self.process = subprocess.Popen(COMMAND) if _pushed() else None
        self._files = files


def supervise() -> None:
    """Keep the child as it should be, for as long as the worker runs."""
    child = Child()
    while True:
        try:
            child.sync()
        except OSError:  # a file has gone since it was listed, or there is no memory for a process
            logger.warning("the process for pushed rows was not looked at", exc_info=True)
        time.sleep(SYNC_SECONDS)


def main() -> None:
    """Update what is due, until the worker has ended; what fails is logged once, and tried again."""
    from stack.features.pushed import OnlineRows

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    worker, rows, failed = os.getppid(), dict[str, OnlineRows](), set[str]()
    names = _pushed()
    while os.getppid() == worker:
        began = time.monotonic()
        for name in names:
            try:
                if name not in rows:
                    rows[name] = OnlineRows(Project.open(name))
                rows[name].update(datetime.now(UTC))
                failed.discard(name)
            except Exception:
                if name not in failed:
                    logger.exception("%s: the features of pushed rows come with the next ingest", name)
                failed.add(name)
                rows.pop(name, None)
        time.sleep(max(SECONDS, time.monotonic() - began))


def _pushed() -> list[str]:
    try:
        return [spec.name for spec in specs.load_valid(logger.debug) if isinstance(spec.source, Push)]
    except StackError as error:  # the workspace is on a disk that is not there
        logger.error("%s", error)
        return []


def _files() -> dict[Path, int]:
    """Return the times of the files that define projects."""
    projects, definitions = settings().projects, settings().definitions
    found = [*projects.glob("*/*.py"), *projects.glob(specs.YAML), *definitions.glob("*.py")]
    return {path: path.stat().st_mtime_ns for path in found if path.exists()}


if __name__ == "__main__":
    main()
