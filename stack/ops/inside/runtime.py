"""The stack, seen from a container of one of its services: state and tools are reached, other containers are not."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from stack.core import notices
from stack.core.errors import StackError
from stack.ops import backup_request
from stack.ops.local.runtime import LocalRuntime
from stack.ops.runtimes import Report

COMMANDS = (("stack", "apply"), ("flows.deployments",))
"""Modules, with their words, that apply and register what is new."""


class InsideRuntime(LocalRuntime):
    """A container of the image, which sets ``STACK_RUNTIME=inside``."""

    name = "inside"

    @override
    def apply_changes(self, report: Report) -> None:
        for words in COMMANDS:
            command = [sys.executable, "-m", *words]
            ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            lines = ran.stdout.splitlines()
            if ran.returncode:
                raise StackError(
                    " ".join(words),
                    found="\n".join([f"it ended with exit code {ran.returncode}", *lines[-12:]]),
                    expected="what is new in projects/ and feature_repo/ to be applied",
                    todo="run `make check` on the project that is new, then this again",
                )
            for notice in notices.read(lines):
                report(f"  {notice}")

    @override
    def backup(self, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
        if secrets or out != self.settings.backup_folder:
            raise StackError(
                "a backup from inside",
                found="a folder, or secrets",
                expected=f"all but secrets, in {self.settings.backup_folder}",
                todo="make backup, on the machine",
            )
        return backup_request.ask(self.settings, report)


RUNTIME = InsideRuntime
