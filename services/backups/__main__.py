"""Make the backups that are due: ``python -m services.backups``.

It waits, and costs 10 MB: nothing of the stack is imported here. What is due is looked up and done in a process of its
own, ``stack.ops.scheduled``, whose last line of output is the number of seconds after which to look again.
"""

import subprocess
import sys
import time

COMMAND = [sys.executable, "-m", "stack.ops.scheduled"]
AFTER_CRASH_SECONDS = 600.0
NAP_SECONDS = 5.0


def main() -> None:
    """Look and wait, for ever."""
    while True:
        ran = subprocess.run(COMMAND, stdout=subprocess.PIPE, text=True, check=False)
        wait(AFTER_CRASH_SECONDS if ran.returncode else float(ran.stdout))


def wait(seconds: float) -> None:
    """Wait, in short naps: a machine that has slept, or whose clock was set, is looked after at once."""
    began, set_off = time.time(), time.monotonic()
    while 0 <= time.time() - began < seconds and time.monotonic() - set_off < seconds:
        time.sleep(min(NAP_SECONDS, seconds))


if __name__ == "__main__":
    main()
