"""The Compose runtime: its parts behind the common interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from subprocess import PIPE

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.archive import Manifest
from stack.ops.compose import backup, docker, doctor, files, logs, ownership, shell, startup, status
from stack.ops.doctor import Finding
from stack.ops.runtime import Command, Paths, Report, Runtime
from stack.ops.status import Row


class ComposeRuntime(Runtime):
    """Containers of a Docker engine."""

    name = "compose"
    moves_state_aside = False  # volumes cannot be renamed

    def unavailable_reason(self) -> str | None:
        """Return why no engine with Compose answers."""
        return docker.engine()

    def check_profiles(self) -> None:
        """Refuse nothing, as containers can run every service."""

    def running(self) -> bool:
        """Return whether a container of this checkout's stack runs."""
        there = docker.containers(self.settings).values()
        return any(container.running for container in there) and not ownership.foreign_checkout(self.settings)

    def state_location(self) -> str:
        """Return the names of this checkout's volumes."""
        return "" if ownership.foreign_checkout(self.settings) else ", ".join(docker.volumes(self.settings))

    def up(self, report: Report) -> None:
        """Build the image when it is needed, start the stack and wait until every service is healthy."""
        startup.up(self.settings, report)

    def apply_changes(self, report: Report) -> None:
        """Run the one-shot services again if something has changed; nothing else is started or stopped."""
        startup.apply_changes(self.settings, report)

    def down(self) -> list[str]:
        """Remove the containers; their volumes stay."""
        ownership.require_own(self.settings)
        ran = sorted(container.service for container in docker.containers(self.settings).values() if container.running)
        docker.compose(self.settings, *docker.EVERYTHING, "down", "--remove-orphans")
        return ran

    def clean(self) -> None:
        """Remove the containers and their volumes."""
        ownership.require_own(self.settings)
        docker.compose(self.settings, *docker.EVERYTHING, "down", "--remove-orphans", "--volumes")

    def status(self) -> list[Row]:
        """Return the state of every service, the database servers first."""
        return status.rows(self.settings)

    def logs(self, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        """Ask the engine for the logs."""
        return logs.lines(self.settings, service, lines, follow)

    def findings(self) -> list[Finding]:
        """Check the engine, secrets, disk, memory, the image, and every service."""
        return doctor.findings(self.settings, running=self.running())

    def exports(self, inherited: Mapping[str, str]) -> str:
        """Export the addresses that are reached from outside."""
        return shell.exports(self.settings, inherited)

    def notebook(self, inherited: Mapping[str, str], report: Report) -> Command:
        """Open Jupyter in a container."""
        report("Jupyter runs in a container; the first time its image takes a minute")
        return shell.notebook(self.settings)

    def files(
        self, given: Path | None, wanted: Path | None, default: Path, report: Report
    ) -> AbstractContextManager[Paths]:
        """Copy a file into the containers' volume, and the one that is written back."""
        if wanted is None:
            report(f"the answers are written to {default}")
        return files.lent(self.settings, given, wanted or default)

    def lake(self) -> AbstractContextManager[Settings]:
        """Copy the lake out of the containers' volume."""
        return files.lake(self.settings)

    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Report) -> None:
        """Run the command line in the worker's container."""
        with docker.started(self.settings, "exec", "-T", docker.WORKER, "stack", *words, stdout=PIPE) as process:
            for line in process.stdout or ():
                report(line.rstrip("\n"))
        if process.returncode:
            raise StackError(
                f"stack {words[0]}, in the container of the {docker.WORKER}",
                found=f"exit code {process.returncode}",
                expected="0",
                todo="read the lines above; look with `make status`",
            )

    def backup(self, out: Path, at: datetime, report: Report, *, secrets: Path | None = None) -> Path:
        """Archive the databases of the servers and the files of the volume."""
        return backup.backup(self.settings, out, at, report, secrets=secrets)

    def restore(
        self, file: Path, at: datetime, report: Report, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        """Fill new volumes from an archive."""
        return backup.restore(self.settings, file, report, replace=replace, secrets=secrets)


RUNTIME = ComposeRuntime
