"""Start what stops the portal itself: a restart of the services, a restore."""

import os
import subprocess
import sys
from collections.abc import Mapping

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.ops import unattended

FOREIGN = ("STACK_", "SUPERVISOR_")
"""Of the portal's environment: the settings are given anew, and the marks of the supervisor's children make them end
with the stack."""


def possible() -> bool:
    """Return whether the stack runs as processes of this checkout; a container cannot stop the others."""
    return os.access(ROOT, os.W_OK)


def start(settings: Settings, *words: str, caller: str, environment: Mapping[str, str] | None = None) -> None:
    """Start a task of :mod:`stack.ops.unattended`, which goes on when the portal stops.

    Args:
        settings: of the stack.
        words: of the task.
        caller: who has asked for it.
        environment: the settings of the task, where they differ from those of now.

    Raises:
        StackError: one is at work, or it cannot be done from here.
    """
    if not possible():
        raise StackError("the stack", found="containers", expected="processes of this machine", todo="use the command")
    last = unattended.read(settings)
    if last and last.running:
        raise StackError(last.title, found="it is at work", expected="one at a time", todo="wait for its end")
    environ = {key: value for key, value in os.environ.items() if not key.startswith(FOREIGN)}
    environ |= settings.environment() if environment is None else environment
    environ["STACK_RUNTIME"] = "local"
    file = unattended.log(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "stack.ops.unattended", *words],
            cwd=ROOT,
            env=environ | {unattended.CALLER: caller},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    unattended.begin(settings, words, process.pid)
