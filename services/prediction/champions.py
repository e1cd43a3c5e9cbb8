"""The models that answer for a project: loaded aside, and swapped in one step when an alias moves."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.prediction import copies, metrics
from services.prediction.schema import Answer, answer_model, parsed_example
from services.prediction.shadow import Shadow
from stack import registry, tasks
from stack.online import OnlineFeatures, OnlineRows
from stack.project import ProjectSpec
from stack.served import ServedModel
from stack.settings import Settings
from stack.tasks import Task

RETRY_SECONDS = 3.0

logger = logging.getLogger("stack.prediction")


@dataclass(frozen=True)
class Champion:
    """A loaded model and the features it is given."""

    version: str
    model: ServedModel
    features: OnlineFeatures
    loaded_at: datetime

    def predict(self, requests: list[dict[str, Any]], instants: list[datetime]) -> tuple[OnlineRows, list[list[float]]]:
        """Read the features of each row's instant; give them and the answers, a list of outputs for each row."""
        found = self.features.read(requests, instants)
        return found, self.model.predict(found.columns).tolist()


@dataclass
class Seat:
    """Where a project's champion sits. `current` is read once a batch and replaced in one assignment.

    A registry that does not answer changes nothing: the loaded model stays, and after a restart its copy on disk
    answers.
    """

    settings: Settings
    spec: ProjectSpec
    task: Task = field(init=False)
    answer: type[Answer] = field(init=False)
    current: Champion | None = None
    previous: Champion | None = None
    shadow: Shadow | None = None
    """The challenger that answers along, where project.yaml asks for it."""
    problem: str = ""
    """Why the registry's champion is not the one that answers; empty when it is, or when there is none."""
    retry_at: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.task, self.answer = tasks.of(self.spec), answer_model(self.spec)
        self.shadow = Shadow(self.settings, self.spec) if self.spec.rollout.shadow else None

    def look(self) -> None:
        """Ask the registry who answers, and let it take the seat when it is another one."""
        if time.monotonic() >= self.retry_at:
            self._look()
        if self.shadow:
            self.shadow.look()

    def _look(self) -> None:
        try:
            version = registry.champion(self.settings, self.spec)
            if version and (self.current is None or self.current.version != version.version):
                self._take(version.version, copies.fetch(self.settings, self.spec, version))
            self._note("")
        except Exception as error:
            self._note(f"{type(error).__name__}: {error}")
            self.retry_at = time.monotonic() + RETRY_SECONDS
            if self.current is None:
                self._take_copy()

    def _take(self, version: str, folder: Path) -> None:
        """Load and warm up a version aside, then let it answer."""
        self.previous, self.current = self.current, self._load(version, folder)
        copies.remember(folder)
        metrics.CHAMPION.labels(self.spec.name).set(float(version))
        logger.info("%s: version %s answers", self.spec.name, version)

    def _load(self, version: str, folder: Path) -> Champion:
        features = OnlineFeatures(self.settings, self.spec)
        champion = Champion(version, ServedModel(folder), features, datetime.now(UTC))
        champion.predict([parsed_example(self.spec)], [datetime.now(UTC)])
        return champion

    def _take_copy(self) -> None:
        """Answer with the last champion's copy until the registry can be asked."""
        folder = copies.remembered(self.settings, self.spec)
        if folder is None:
            return
        try:
            self._take(folder.name.partition("-")[0], folder)
        except Exception:
            logger.exception("%s: the copy %s does not load", self.spec.name, folder)

    def _note(self, problem: str) -> None:
        """Keep what is wrong for /readyz, and log it once."""
        if problem and problem != self.problem:
            logger.warning("%s: the registry's champion is not loaded: %s", self.spec.name, problem)
        self.problem = problem
