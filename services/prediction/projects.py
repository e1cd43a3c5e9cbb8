"""The projects that are served, each an application of its own: one comes, changes or goes while the others answer."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Receive, Scope, Send

from services.prediction.champions import ModelError, Seat
from services.prediction.service import service
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import specs
from stack.specification.specs import ProjectSpec

Stamp = tuple[tuple[str, int, int], ...]
LOOK_SECONDS = 1.0
GRACE_SECONDS = 30.0
"""How long requests under way may take when their project changes or goes: what BentoML gives a request."""

logger = logging.getLogger("stack.prediction")


@dataclass
class Served:
    """A project's seat and its BentoML application."""

    seat: Seat
    service: Any
    app: Any
    begun: AbstractAsyncContextManager[Any] | None = None
    under_way: int = field(default=0)

    @classmethod
    def make(cls, project: Project) -> Served:
        """Build the application, and load the champion when there is one."""
        seat = Seat(project)
        made = service(project.settings, seat)
        app = made.to_asgi()
        seat.look()
        return cls(seat, made, app)

    async def begin(self) -> None:
        """Let BentoML make its instance."""
        self.begun = self.app.router.lifespan_context(self.app)
        await self.begun.__aenter__()

    async def end(self) -> None:
        """Wait for the requests under way, then let BentoML take down its instance."""
        deadline = asyncio.get_running_loop().time() + GRACE_SECONDS
        while self.under_way and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.05)
        if self.begun:
            await self.begun.__aexit__(None, None, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        self.under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.under_way -= 1


class Projects:
    """Follows ``project.yaml`` and the modules of ``projects/*``, and the registry's aliases.

    A file that is wrong takes nothing away: what was served before goes on, and /readyz says what is wrong.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.served: dict[str, Served] = {}
        self.broken: dict[str, str] = {}
        self._read: dict[str, Stamp] = {}
        self._settled: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Serve what there is, then go on looking."""
        await self.look()
        self._keep(self._follow())

    async def end(self) -> None:
        """Stop looking, and serve no more."""
        for one in self._tasks:
            one.cancel()
        for served in self.served.values():
            await served.end()

    async def look(self) -> None:
        """Take up what has changed since the last look, and look who is champion."""
        stamps = await asyncio.to_thread(_stamps)
        for name in [name for name in self._read if name not in stamps]:
            self._drop(name)
        for name, stamp in stamps.items():
            if self._read.get(name) != stamp:
                await self._take_up(name)
                self._read[name] = stamp
        for served in list(self.served.values()):
            await asyncio.to_thread(served.seat.look)
        self._settle()

    def _settle(self) -> None:
        """Take what a project's first model has brought into memory, most of it modules, out of garbage collection.

        Every full collection would look through it, and no request is answered in these 0.2 s.
        """
        answering = {name for name, served in self.served.items() if served.seat.current}
        if answering - self._settled:
            self._settled |= answering
            gc.freeze()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Exception:
                logger.exception("the projects were not looked at")

    async def _take_up(self, name: str) -> None:
        """Serve a project as its file says now; the requests under way end as they began."""
        before = self.served.get(name)
        try:
            spec = await asyncio.to_thread(specs.load, name)
            made = await asyncio.to_thread(self._make, spec, before)
            await made.begin()
            self.served[name] = made
            logger.info("%s is served%s", name, " as its files say now" if before else "")
            if before:
                self._keep(before.end())
            self.broken.pop(name, None)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one project, the others are served
            self.broken[name] = str(error)
            logger.error("%s is left %s: %s", name, "as it was" if before else "out", error)

    def _make(self, spec: ProjectSpec, before: Served | None) -> Served:
        # The project's functions are imported anew with its features, and Feast looks for them by name at each read.
        modules = {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith(f"projects.{spec.name}.")}
        try:
            made = Served.make(Project(self.settings, spec))
            if before and before.seat.current and not made.seat.current:
                raise ModelError(made.seat.problem)
        except Exception:
            sys.modules.update(modules)
            raise
        return made

    def _drop(self, name: str) -> None:
        self._read.pop(name)
        self.broken.pop(name, None)
        if served := self.served.pop(name, None):
            logger.info("%s is gone", name)
            self._keep(served.end())

    def _keep(self, work: Any) -> None:
        """Run in the background; the loop itself holds tasks only weakly."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _stamps() -> dict[str, Stamp]:
    """When each project's project.yaml and modules were written, and their sizes."""
    found = {}
    for name in specs.names():
        folder = specs.PROJECTS / name
        try:
            files = [(path.name, path.stat()) for path in (folder / "project.yaml", *sorted(folder.glob("*.py")))]
        except FileNotFoundError:
            continue  # gone since it was listed
        found[name] = tuple((file, stat.st_mtime_ns, stat.st_size) for file, stat in files)
    return found
