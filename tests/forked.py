"""Work in a process of its own that has imported already what this one has."""

import os
import threading
import traceback
from collections.abc import Callable


def forked(work: Callable[[], object]) -> int:
    """Do some work in a fork of this process; return its exit status, negative for the signal that ended it."""
    end_timers()
    pid = os.fork()
    if not pid:
        try:
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def end_timers() -> None:
    """End the timers by which feature stores read their registries again: a fork keeps a lock that a thread holds."""
    while timers := [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]:
        for timer in timers:
            timer.cancel()
            timer.join()
