"""The stack as containers of a Docker engine."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from subprocess import PIPE

from typing_extensions import override

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.problems import Problem
from stack.core.settings import ROOT, Settings
from stack.ops import compose_file, health
from stack.ops.archive import Manifest
from stack.ops.compose import backup, docker, files, image, logs, ownership, startup, status
from stack.ops.doctor import Finding
from stack.ops.runtimes import Command, Paths, Runtime
from stack.ops.shell import export_lines, jupyter
from stack.ops.status import Row

NOTEBOOK = "notebook"


class ComposeRuntime(Runtime):
    """Containers of a Docker engine, which can run every service."""

    name = "compose"
    moves_state_aside = False  # volumes cannot be renamed

    @override
    def unavailable_reason(self) -> str | None:
        return docker.engine()

    @override
    def check_profiles(self) -> None:
        pass

    @override
    def running(self) -> bool:
        return bool(docker.running(self.settings)) and not ownership.foreign_checkout(self.settings)

    @override
    def state_location(self) -> str:
        return "" if ownership.foreign_checkout(self.settings) else ", ".join(docker.volumes(self.settings))

    @override
    def up(self, report: Reporter) -> None:
        startup.up(self.settings, report)

    @override
    def apply_changes(self, report: Reporter) -> None:
        startup.apply_changes(self.settings, report)

    @override
    def down(self) -> list[str]:
        ownership.require_own(self.settings)
        ran = docker.running(self.settings)
        docker.compose(self.settings, *docker.EVERYTHING, "down", "--remove-orphans")
        return ran

    @override
    def clean(self) -> None:
        ownership.require_own(self.settings)
        docker.compose(self.settings, *docker.EVERYTHING, "down", "--remove-orphans", "--volumes")

    @override
    def status(self) -> list[Row]:
        return status.rows(self.settings)

    @override
    def logs(self, service: str | None, lines: int, follow: bool) -> Iterator[str]:
        return logs.lines(self.settings, service, lines, follow)

    @override
    def findings(self) -> list[Finding]:
        return status.findings(self.settings, running=self.running())

    @override
    def problems(self, now: datetime) -> list[Problem]:
        # The state is in a volume: the home page reads it.
        return health.of_home_page(self.settings) if self.running() else []

    @override
    def exports(self, inherited: Mapping[str, str], *, secrets: bool) -> str:
        # What is reached from outside; `feast` and `dvc` run in a container, where their files are.
        internal = {"STACK_BIND", "STACK_ONLINE_STORE_TYPE", "FEAST_FS_YAML_FILE_PATH"}
        shared, home = compose_file.environment(self.settings), str(self.settings.home)
        reachable = {key: value for key, value in shared.items() if key not in internal and home not in value}
        definitions = "/app/feature_repo" if self.settings.workspace == ROOT else self.settings.definitions
        run = f"docker exec --interactive --workdir {{}} {docker.container(self.settings)}"
        return "\n".join(
            [
                export_lines(reachable, inherited, secrets=secrets),
                f'feast() {{ {run.format(definitions)} feast "$@"; }}',
                f'dvc() {{ {run.format(f"{docker.HOME}/lake")} dvc "$@"; }}',
            ]
        )

    @override
    def notebook(self, inherited: Mapping[str, str], report: Reporter) -> Command:
        report("Jupyter runs in a container; the first time its image takes a minute")
        image.build_with_jupyter()
        listen = ("--ServerApp.ip=0.0.0.0", "--ServerApp.open_browser=False", "--allow-root")
        shown = f"--ServerApp.custom_display_url={self.settings.address('notebook')}/lab"
        words = ("python", *jupyter(self.settings, "/app/notebooks"), *listen, shown)
        return self.notebook_command("--service-ports", NOTEBOOK, *words)

    def notebook_command(self, *words: str) -> Command:
        """Return a command in a container for notebooks: options, service, words.

        The notebooks are those of the checkout, written as the user's files.
        """
        run = ["--profile", NOTEBOOK, "run", "--rm", "--no-deps", *words]
        user = {"NOTEBOOK_USER": f"{os.getuid()}:{os.getgid()}"}
        return docker.command(self.settings, *run), docker.environment(self.settings) | user

    @override
    def files(
        self, source: Path | None, target: Path | None, default: Path, report: Reporter
    ) -> AbstractContextManager[Paths]:
        if target is None:
            report(f"the answers are written to {default}")
        return files.lent(self.settings, source, target or default)

    @override
    def lake(self) -> AbstractContextManager[Settings]:
        return files.lake(self.settings)

    @override
    def beside_state(self, here: Callable[[], None], words: Sequence[str], report: Reporter) -> None:
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

    @override
    def backup(self, out: Path, at: datetime, report: Reporter, *, secrets: Path | None = None) -> Path:
        return backup.backup(self.settings, out, at, report, secrets=secrets)

    @override
    def restore(
        self, file: Path, at: datetime, report: Reporter, *, replace: bool = False, secrets: bool = False
    ) -> Manifest:
        return backup.restore(self.settings, file, report, replace=replace, secrets=secrets)


RUNTIME = ComposeRuntime
