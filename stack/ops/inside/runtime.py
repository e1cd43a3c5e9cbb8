"""The stack, seen from a container of one of its services: state and tools are reached, other containers are not."""

import sys
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.ops import backup_request
from stack.ops.local.runtime import LocalRuntime
from stack.ops.runtimes import applied

COMMANDS = (("stack", "apply"), ("flows.deployments",))
"""Modules, with their words, that apply and register what is new."""


class InsideRuntime(LocalRuntime):
    """A container of the image, which sets ``STACK_RUNTIME=inside``."""

    name = "inside"

    @override
    def apply_changes(self, report: Reporter) -> None:
        for words in COMMANDS:
            for notice in applied(" ".join(words), [sys.executable, "-m", *words]):
                report(f"  {notice}")

    @override
    def backup(self, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
        if secrets or out != self.settings.backup_folder:
            raise StackError(
                "a backup from inside",
                found="a folder, or secrets",
                expected=f"all but secrets, in {self.settings.backup_folder}",
                todo="make backup, on the machine",
            )
        return backup_request.ask(self.settings, report)


RUNTIME = InsideRuntime
