"""The projects that are served, each an application of its own: one changes while the others answer."""

import asyncio
import gc
import logging
from contextlib import suppress
from typing import Any

from services.prediction import _compat
from services.prediction.aliases import AliasChanges
from services.prediction.live_models import ModelError
from services.prediction.service import ProjectService
from stack.core.settings import Settings, settings
from stack.project import Project
from stack.specification import specs
from stack.specification.specs import ProjectSpec

FileStamps = tuple[tuple[str, int, int], ...]
REFRESH_SECONDS = 2.0

logger = logging.getLogger("stack.prediction")


class ProjectRegistry:
    """Follows ``project.yaml`` and the modules of ``projects/*``, and the aliases in the model registry.

    An invalid file takes nothing away: the project is served as before, and /readyz reports the problem.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services: dict[str, ProjectService] = {}
        self.errors: dict[str, str] = {}
        self._aliases = AliasChanges(settings)
        self._stamps: dict[str, FileStamps] = {}
        self._frozen: set[str] = set()
        self.background: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Serve the projects that exist, then follow their changes."""
        await self.refresh()
        self._run_in_background(self._follow())

    async def stop(self) -> None:
        """Stop following changes, and stop every service."""
        for task in self.background:
            task.cancel()
        for running in self.services.values():
            await running.stop()

    async def refresh(self) -> None:
        """Apply the changes of files since the last call, and those of the registry's aliases."""
        stamps = await asyncio.to_thread(_file_stamps)
        for name in [name for name in self._stamps if name not in stamps]:
            self._remove(name)
        for name, stamp in stamps.items():
            if self._stamps.get(name) != stamp:
                await self._reload(name)
                self._stamps[name] = stamp
        moved = await asyncio.to_thread(self._aliases.of, list(self.services))
        for name, running in list(self.services.items()):
            await asyncio.to_thread(running.models.refresh, name in moved)
        live = {name for name, running in self.services.items() if running.models.champion}
        if live - self._frozen:
            self._frozen |= live
            # A full collection would traverse the modules that a first model imports; for 0.2 s no request is answered.
            gc.freeze()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(min(REFRESH_SECONDS, self._aliases.seconds))
            try:
                await self.refresh()
            except Exception:
                logger.exception("the projects were not refreshed")

    async def _reload(self, name: str) -> None:
        """Serve a project as its files define it now; active requests end in the old service."""
        old = self.services.get(name)
        try:
            spec = await asyncio.to_thread(specs.load, name)
            new = await asyncio.to_thread(self._create, spec, old)
            await new.start()
            self.services[name] = new
            logger.info("%s is served%s", name, " with its changed files" if old else "")
            if old:
                self._run_in_background(old.stop())
            self.errors.pop(name, None)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one project, the others are served
            self.errors[name] = str(error)
            logger.error("%s is %s: %s", name, "served unchanged" if old else "not served", error)

    def _create(self, spec: ProjectSpec, old: ProjectService | None) -> ProjectService:
        with _compat.reimported(f"projects.{spec.name}"):
            new = ProjectService(Project(self.settings, spec))
            if old and old.models.champion and not new.models.champion:
                raise ModelError(new.models.problem)
        return new

    def _remove(self, name: str) -> None:
        self._stamps.pop(name)
        self.errors.pop(name, None)
        if running := self.services.pop(name, None):
            logger.info("%s is removed", name)
            self._run_in_background(running.stop())

    def _run_in_background(self, work: Any) -> None:
        """Start a task; the event loop itself holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)


def _file_stamps() -> dict[str, FileStamps]:
    """Return the modification times and sizes of each project's project.yaml and modules."""
    stamps = {}
    for name in specs.names():
        folder = settings().projects / name
        with suppress(FileNotFoundError):  # removed since it was listed
            files = [(path.name, path.stat()) for path in (folder / "project.yaml", *sorted(folder.glob("*.py")))]
            stamps[name] = tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in files)
    return stamps
