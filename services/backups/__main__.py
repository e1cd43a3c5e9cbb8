"""Make the backups that are due, or asked for: ``python -m services.backups``.

It waits, and costs 10 MB: nothing of the stack is imported here. What is due is looked up and done in a process of its
own, ``stack.ops.scheduled``, whose last line of output is the number of seconds after which to look again.
"""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

COMMAND = [sys.executable, "-m", "stack.ops.scheduled"]
FILES = ("settings.env", "run/backup-request.json")
"""Of the home: where one has changed, it is looked at once."""
AFTER_CRASH_SECONDS = 600.0
NAP_SECONDS = 5.0


def main() -> None:
    """Look and wait, for ever."""
    home = Path(os.environ["STACK_HOME"])
    while True:
        before = written(home)
        ran = subprocess.run(COMMAND, stdout=subprocess.PIPE, text=True, check=False)
        wait(AFTER_CRASH_SECONDS if ran.returncode else float(ran.stdout), home, before)


def written(home: Path) -> dict[str, int]:
    """Return when each of the files was written last, of those that there are."""
    times = {}
    for name in FILES:
        with suppress(FileNotFoundError):
            times[name] = (home / name).stat().st_mtime_ns
    return times


def wait(seconds: float, home: Path, before: dict[str, int]) -> None:
    """Wait until files have changed, or for so long.

    The naps are short: a machine that has slept, or whose clock was set, is looked after at once.
    """
    began, set_off = time.time(), time.monotonic()
    while 0 <= time.time() - began < seconds and time.monotonic() - set_off < seconds and written(home) == before:
        time.sleep(min(NAP_SECONDS, seconds))


if __name__ == "__main__":
    main()
