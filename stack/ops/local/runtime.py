"""The stack as processes below a supervisord."""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.ops import compose_file, health, shell, versions
from stack.ops.archive import Manifest
from stack.ops.doctor import Finding
from stack.ops.local import backup, logs, startup, status
from stack.ops.local.supervisor import Supervisor
from stack.ops.runtimes import Command, Paths, Runtime
from stack.ops.status import Row


class LocalRuntime(Runtime):
    """Processes below a supervisord; they run everywhere.

    Args:
        settings: of the stack.
        file: the list of services.
    """

    name = "local"
    moves_state_aside = True

    def __init__(self, settings: Settings, file: Path = compose_file.FILE) -> None:
        super().__init__(settings)
        self._file = file

    @override
    def unavailable_reason(self) -> str | None:
        return None

    @override
    def check_profiles(self) -> None:
        compose_file.require_processes(self.settings, self._file)

    @override
    def running(self) -> bool:
        return any(state.pid for state in Supervisor(self.settings).states().values())

    @override
    def state_location(self) -> str:
        return str(self.settings.home) if versions.file(self.settings).exists() else ""

    @override
    def up(self, report: Reporter) -> None:
        startup.up(self.settings, report, report, self._file)

    @override
    def apply_changes(self, report: Reporter) -> None:
        # A start runs the one-shot services and nothing else, as all others run.
        if self.running():
            startup.up(self.settings, lambda _: None, report, self._file, renew=False)

    @override
    def down(self) -> list[str]:
        daemon = Supervisor(self.settings)
        ran = sorted(name for name, state in daemon.states().items() if state.pid)
        try:
            services = compose_file.services(self.settings, self._file)
        except StackError:  # a broken file must not keep the stack from stopping
            services = []
        needed = {other for service in services for other in (*service.needs, *service.uses)}
        daemon.shutdown([[service.name for service in services if service.name not in needed]])
        return ran

    @override
    def clean(self) -> None:
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

    @override
    def status(self) -> list[Row]:
        return status.rows(self.settings, self._file)

    @override
    def logs(self, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        return logs.lines(self.settings, service, lines, follow)

    @override
    def findings(self) -> list[Finding]:
        return status.findings(self.settings)

    @override
    def problems(self, now: datetime) -> list[Problem]:
        if not self.running():
            return health.standing(self.settings, now)
        return asyncio.run(health.of_this_moment(self.settings, now))

    @override
    def exports(self, inherited: Mapping[str, str], *, secrets: bool) -> str:
        return shell.export_lines(compose_file.environment(self.settings), inherited, secrets=secrets)

    @override
    def notebook(self, inherited: Mapping[str, str], report: Reporter) -> Command:
        path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
        # For this machine alone; it asks for the token that it prints.
        command = [sys.executable, *shell.jupyter(self.settings, str(shell.NOTEBOOKS)), "--ServerApp.ip=127.0.0.1"]
        return command, {**inherited, **compose_file.environment(self.settings), "PATH": path}

    @override
    def files(
        self, source: Path | None, target: Path | None, default: Path, report: Reporter
    ) -> AbstractContextManager[Paths]:
        # A flow runs in another folder of the same disk.
        return nullcontext((str(source.absolute()) if source else None, str(target.absolute()) if target else None))

    @override
    def lake(self) -> AbstractContextManager[Settings]:
        return nullcontext(self.settings)

    @override
    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Reporter) -> None:
        here()

    @override
    def backup(self, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
        return backup.backup(self.settings, out, at, report, secrets=secrets)

    @override
    def restore(
        self, file: Path, at: datetime, report: Reporter, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        return backup.restore(self.settings, file, at, report, replace=replace, secrets=secrets)


RUNTIME = LocalRuntime
