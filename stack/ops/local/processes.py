"""The processes of a stack, found by the mark that supervisord puts into the environment of each of its children.

Children inherit the mark, also those that leave their process group (BentoML's workers do), so nothing that a killed
server has left behind stays hidden, and a process of anything else is never touched.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress

import psutil

from stack.core.wait import wait_until

STACK = "SUPERVISOR_SERVER_URL"
SERVICE = "SUPERVISOR_PROCESS_NAME"


def by_service(stack: str) -> dict[str, list[psutil.Process]]:
    """Find this user's running processes of a stack, by service; the stack is named by its supervisord's address."""
    running: dict[str, list[psutil.Process]] = defaultdict(list)
    for process in psutil.process_iter():
        try:
            if process.uids().real != os.getuid():
                continue
            environ = process.environ()
        except (psutil.Error, OSError):
            continue
        if environ.get(STACK) == stack:
            running[environ.get(SERVICE, "")].append(process)
    return dict(running)


def memory(processes: Iterable[psutil.Process]) -> int:
    """Memory of the processes in bytes: PSS, which counts a shared page once (USS where a system has no PSS)."""
    total = 0
    for process in processes:
        try:
            info = process.memory_full_info()
        except (psutil.Error, OSError):
            continue
        total += getattr(info, "pss", 0) or info.uss
    return total


def kill(processes: Iterable[psutil.Process], patience: float = 0.0) -> None:
    """End the processes: politely first when there is `patience` (seconds), then for certain."""
    alive = list(processes)
    if patience:
        alive = _signal(alive, signal.SIGTERM, patience)
    _signal(alive, signal.SIGKILL, 5.0)


def _signal(processes: list[psutil.Process], number: signal.Signals, patience: float) -> list[psutil.Process]:
    """Send a signal; return those that are still alive after `patience` seconds."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    wait_until(lambda: not any(map(_lives, processes)), patience, pause=0.02)
    return [process for process in processes if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    """Return whether it runs; a zombie holds nothing, and where no parent reaps it, it stays for ever."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
