"""Processes that a measurement starts, waits for and stops."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from stack.core.errors import StackError
from stack.ops import probe

START_SECONDS = 90.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers.

    Raises:
        StackError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if probe.ask(url) is None:
            return
        time.sleep(0.2)
    raise StackError(url, found="no answer", expected=f"one within {START_SECONDS:.0f} s", todo=f"read {log}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop a server and what it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
