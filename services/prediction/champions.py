"""The champion of each project, loaded aside and swapped in one step when its alias moves."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
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

POLL_SECONDS = 1.0
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
        return found, self.model.predict(found.columns).reshape(len(requests), -1).tolist()


@dataclass
class Seat:
    """Where a project's champion sits. `current` is read once a batch and replaced in one assignment."""

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


class Champions:
    """Keeps every seat filled with the version that the registry calls champion.

    A registry that does not answer changes nothing: the loaded model stays, and after a restart its copy on disk
    answers.
    """

    def __init__(self, settings: Settings, specs: Sequence[ProjectSpec]) -> None:
        self.settings = settings
        self.seats = {
            spec.name: Seat(spec, shadow=Shadow(settings, spec) if spec.rollout.shadow else None) for spec in specs
        }
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="champions", daemon=True)

    def start(self) -> None:
        """Look once, then go on looking in the background."""
        self._look_everywhere()
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; a load under way ends by itself."""
        self._stop.set()

    def look(self, seat: Seat) -> None:
        """Ask the registry who the champion is, and let it take the seat when it is another one."""
        if time.monotonic() < seat.retry_at:
            return
        try:
            version = registry.champion(self.settings, seat.spec)
            if version and (seat.current is None or seat.current.version != version.version):
                self._take(seat, version.version, copies.fetch(self.settings, seat.spec, version))
            self._note(seat, "")
        except Exception as error:
            self._note(seat, f"{type(error).__name__}: {error}")
            seat.retry_at = time.monotonic() + RETRY_SECONDS
            if seat.current is None:
                self._take_copy(seat)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._look_everywhere()

    def _look_everywhere(self) -> None:
        for seat in self.seats.values():
            self.look(seat)
            if seat.shadow:
                seat.shadow.look()

    def _take(self, seat: Seat, version: str, folder: Path) -> None:
        """Load and warm up a version aside, then let it answer."""
        spec = seat.spec
        model, features = ServedModel(folder), OnlineFeatures(self.settings, spec)
        champion = Champion(version, model, features, datetime.now(UTC))
        champion.predict([parsed_example(spec)], [datetime.now(UTC)])
        seat.previous, seat.current = seat.current, champion
        copies.remember(folder)
        metrics.CHAMPION.labels(spec.name).set(float(version))
        logger.info("%s: version %s answers", spec.name, version)

    def _take_copy(self, seat: Seat) -> None:
        """Answer with the last champion's copy until the registry can be asked."""
        folder = copies.remembered(self.settings, seat.spec)
        if folder is None:
            return
        try:
            self._take(seat, folder.name.partition("-")[0], folder)
        except Exception:
            logger.exception("%s: the copy %s does not load", seat.spec.name, folder)

    def _note(self, seat: Seat, problem: str) -> None:
        """Keep what is wrong for /readyz, and log it once."""
        if problem and problem != seat.problem:
            logger.warning("%s: the registry's champion is not loaded: %s", seat.spec.name, problem)
        seat.problem = problem
