"""The local runtime: its parts behind the common interface."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import compose_file, versions
from stack.ops.archive import Manifest
from stack.ops.compose_file import Service
from stack.ops.doctor import Finding
from stack.ops.local import backup, doctor, files, logs, shell, startup, status
from stack.ops.local.supervisor import Supervisor
from stack.ops.runtime import Command, Paths, Report, Runtime
from stack.ops.status import Row


class LocalRuntime(Runtime):
    """Processes below a supervisord."""

    name = "local"
    moves_state_aside = True

    def __init__(self, settings: Settings, file: Path = compose_file.FILE) -> None:
        super().__init__(settings)
        self.file = file
        """The list of services."""

    def unavailable_reason(self) -> str | None:
        """Return None, as processes run everywhere."""
        return None

    def check_profiles(self) -> None:
        """Refuse a profile whose services only containers have."""
        compose_file.require_processes(self.settings, self.file)

    def running(self) -> bool:
        """Return whether a service has a process."""
        return any(state.pid for state in Supervisor(self.settings).states().values())

    def state_location(self) -> str:
        """Return the home when a stack has written it."""
        return str(self.settings.home) if versions.file(self.settings).exists() else ""

    def up(self, report: Report) -> None:
        """Start what does not run, and anew what has changed; what runs unchanged is left alone."""
        startup.up(self.settings, report, report, self.file)

    def apply_changes(self, report: Report) -> None:
        """Start the stack again, which runs the one-shot services and nothing else; report their notices alone."""
        if self.running():
            startup.up(self.settings, lambda _: None, report, self.file)

    def down(self) -> list[str]:
        """Stop every service and the daemon; what a killed daemon left behind too."""
        daemon = Supervisor(self.settings)
        ran = sorted(name for name, state in daemon.states().items() if state.pid)
        try:
            first = _independent(compose_file.services(self.settings, self.file))
        except StackError:  # a broken file must not keep the stack from stopping
            first = []
        daemon.shutdown([first])
        return ran

    def clean(self) -> None:
        """Delete the home; refuse a folder that holds something that the stack did not make."""
        home = self.settings.home
        if not home.exists():
            return
        if any(home.iterdir()) and not versions.file(self.settings).exists():
            raise StackError(
                str(home),
                found="a folder without the stack's version file",
                expected="the state of a stack",
                todo="check STACK_HOME; delete the folder yourself if it is the right one",
            )
        self.down()
        shutil.rmtree(home)

    def status(self) -> list[Row]:
        """Return the state of every service and of supervisord itself."""
        return status.rows(self.settings, self.file)

    def logs(self, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        """Read the log files."""
        return logs.lines(self.settings, service, lines, follow)

    def findings(self) -> list[Finding]:
        """Check Python, packages, secrets, disk, memory, state, supervisord, services and ports."""
        return doctor.findings(self.settings)

    def exports(self, inherited: Mapping[str, str]) -> str:
        """Export the services' shared environment."""
        return shell.exports(self.settings, inherited)

    def notebook(self, inherited: Mapping[str, str], report: Report) -> Command:
        """Open Jupyter as a process."""
        return shell.notebook(self.settings, inherited)

    def files(
        self, given: Path | None, wanted: Path | None, default: Path, report: Report
    ) -> AbstractContextManager[Paths]:
        """Give absolute paths, as a flow runs in another folder of the same disk."""
        return files.lent(given, wanted)

    def lake(self) -> AbstractContextManager[Settings]:
        """Give the settings as they are."""
        return nullcontext(self.settings)

    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Report) -> None:
        """Do the work here."""
        here()

    def backup(self, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
        """Archive the home."""
        return backup.backup(self.settings, out, at, report, secrets=secrets)

    def restore(
        self, file: Path, at: datetime, report: Report, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        """Unpack an archive into the home."""
        return backup.restore(self.settings, file, at, report, replace=replace, secrets=secrets)


def _independent(services: list[Service]) -> list[str]:
    """Return the services that no other one needs: they stop first."""
    needed = {other for service in services for other in service.needs}
    return [service.name for service in services if service.name not in needed]


RUNTIME = LocalRuntime
