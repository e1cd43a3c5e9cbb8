"""Work in a process of its own that has imported already what this one has."""

import os
import traceback
from collections.abc import Callable


def forked(work: Callable[[], object]) -> int:
    """Do some work in a fork of this process; return its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
