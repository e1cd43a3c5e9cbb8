"""The way of a row as a process that a test kills: from its source to the lake, answered by schedule, and published."""

import os
import time
from contextlib import nullcontext, suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from stack.core import secrets
from stack.core.errors import UnavailableError
from stack.core.settings import settings
from stack.features import datasets, features
from stack.project import Project
from stack.publishing import publisher
from stack.serving import scheduled
from stack.sources.subscriber import Subscriber
from stack.validation import batches
from tests.polling import PATIENCE_SECONDS

NAME = "readings"
PAUSE_SECONDS = 0.05


class Ingestion:
    """Starts the process and kills it; it is forked from one that has imported what it needs."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__, "stack.lake.keys", "stack.validation.validation"])
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        """Start it."""
        self._process = self._context.Process(target=run, args=[self.workspace], daemon=True)
        self._process.start()

    def kill(self) -> None:
        """Kill it; it must have been running."""
        if self._process is not None:
            assert self._process.exitcode is None, "it failed by itself"
            self._process.kill()
            self._process.join(PATIENCE_SECONDS)
            self._process = None


def run(workspace: Path) -> None:
    """Ingest, answer and publish until it is killed."""
    secrets.FILE = workspace / ".env"
    publisher.POLL_SECONDS, publisher.LONGEST_SECONDS, publisher.BATCH = PAUSE_SECONDS, 0.2, 20
    os.environ |= {"STACK_HOME": str(workspace / "home"), "STACK_WORKSPACE": str(workspace)}
    give_answers()
    publishing, subscriber, project = publisher.Publisher(settings()), Subscriber(settings()), Project.open(NAME)
    while True:
        publishing.sync()
        subscriber.sync()
        with suppress(UnavailableError):
            ingest(project)
            scheduled.answer(project, datasets.ingested_until(project))
        time.sleep(PAUSE_SECONDS)


def ingest(project: Project) -> None:
    """Ingest as the flow does."""
    since, until = datasets.ingested_until(project), project.clock.now().replace(microsecond=0)
    for start, end in batches.windows(project, since, until) if since < until else []:
        result = batches.validate(project, batches.fetch(project, start, end), start, end)
        batches.require_accepted(project, result)
        project.lake.append(result.tables, start, end)
    batches.release(project, max(since, until))


def give_answers() -> None:
    """Let a champion answer that needs no registry and no features."""
    model = SimpleNamespace(threshold=None, answer=lambda columns: np.full((len(columns["room"]), 1), 0.75))
    Project.registry = SimpleNamespace(require_champion=lambda: SimpleNamespace(version="1"))
    scheduled.loaded = lambda *_: nullcontext(model)
    features.training_set = lambda _, events: events
