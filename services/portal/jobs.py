"""Commands that the browser starts: each in a process of its own, its output followed line by line."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast
from uuid import uuid4

from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings

LINES = 500
"""Of a job's output that are kept."""
KEPT = 20
"""Jobs that are kept when they have ended."""


@dataclass
class Job:
    """Commands of ``stack``, one after the other until one fails."""

    title: str
    project: str
    commands: Sequence[Sequence[str]]
    outcome: str = ""
    """What is said when all have ended well; a new project's is that it is live."""
    id: str = field(default_factory=lambda: uuid4().hex)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    step: int = 0
    """How many commands have ended well."""
    code: int | None = None
    """Of the last command when all is done, None until then."""

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.code is None


class Jobs:
    """The jobs of a portal. They end with it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, job: Job) -> Job:
        """Start a job, and forget the oldest ones that have ended."""
        for old in [known for known in self._jobs.values() if not known.running][:-KEPT]:
            del self._jobs[old.id]
        self._jobs[job.id] = job
        task = asyncio.create_task(self._run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def get(self, identity: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(identity)

    def require_none(self, project: str) -> None:
        """Raise a StackError where a job of a project is under way, or of the stack where none is named."""
        if job := next((job for job in self._jobs.values() if job.running and job.project == project), None):
            where = f"project {project}" if project else "the stack"
            raise StackError(
                where, found=f"at work: {job.title}", expected="one job at a time", todo="wait for its end"
            )

    async def stop(self) -> None:
        """End all jobs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job) -> None:
        code = 0
        for command in job.commands:
            job.lines.append(f"$ stack {shlex.join(command)}")
            code = await self._one(job, command)
            if code:
                break
            job.step += 1
        job.code = code

    async def _one(self, job: Job, command: Sequence[str]) -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stack", *command),
            cwd=ROOT,
            env=os.environ | self._settings.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output = cast(asyncio.StreamReader, process.stdout)
        try:
            while line := await output.readline():
                job.lines.append(line.decode(errors="replace").rstrip())
            return await process.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.terminate()
            raise
