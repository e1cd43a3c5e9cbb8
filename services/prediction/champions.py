"""The models that answer for a project: loaded aside, and swapped in one step when an alias moves."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from services.prediction import copies, metrics
from services.prediction.canary import Requests, place
from services.prediction.ids import uuid7
from services.prediction.schema import Answer, Row, answer_model, parsed_example
from services.prediction.shadow import Shadow
from stack.features.online import OnlineFeatures, OnlineRows
from stack.project import Project
from stack.promotion import decisions, rollout
from stack.promotion.decisions import DecisionTime, Judgement
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving.served import ServedModel
from stack.specification.specs import ProjectSpec
from stack.specification.tasks import Task

RETRY_SECONDS = 3.0

logger = logging.getLogger("stack.prediction")


class ModelError(Exception):
    """A model gives no answer: its own fault, which a database that is away is not."""


@dataclass(frozen=True)
class Champion:
    """A loaded model and the features it is given."""

    version: str
    model: ServedModel
    features: OnlineFeatures
    loaded_at: datetime
    requests: Requests = field(default_factory=Requests, repr=False)

    def predict(self, requests: list[dict[str, Any]], instants: list[datetime]) -> tuple[OnlineRows, list[list[float]]]:
        """Read the features of each row's instant; give them and the answers, a list of outputs for each row.

        Raises:
            ModelError: the model gives no answer to these features.
        """
        found = self.features.read(requests, instants)
        try:
            return found, self.model.predict(found.columns).tolist()
        except Exception as error:
            raise ModelError(f"model version {self.version}: {error}") from error


@dataclass
class Seat:
    """Where a project's champion sits. `current` is read once a request and replaced in one assignment.

    A registry that does not answer changes nothing: the loaded model stays, and after a restart its copy on disk
    answers.
    """

    project: Project
    spec: ProjectSpec = field(init=False)
    task: Task = field(init=False)
    answer: type[Answer] = field(init=False)
    current: Champion | None = None
    previous: Champion | None = None
    canary: Champion | None = None
    """The version that answers a share of the requests, while one is tried out."""
    shadow: Shadow | None = None
    """The challenger that answers along, where project.yaml asks for it."""
    problem: str = ""
    """Why the registry's champion is not the one that answers; empty when it is, or when there is none."""
    retry_at: float = field(default=0.0, repr=False)

    def __post_init__(self) -> None:
        self.spec, self.task = self.project.spec, self.project.task
        self.answer = answer_model(self.spec)
        self.shadow = Shadow(self.project) if self.spec.rollout.shadow else None

    def look(self) -> None:
        """Ask the registry who answers, and let it take the seat when it is another one."""
        if time.monotonic() >= self.retry_at:
            self._look()
            self._judge()
        if self.shadow:
            self.shadow.look()

    def is_canarys(self, rows: Sequence[Row]) -> bool:
        """Whether the canary answers all rows of a request; the first one is given its id here if it has none."""
        canary = self.canary
        if canary is None:
            return False
        rows[0].prediction_id = rows[0].prediction_id or uuid7()
        return place(canary.version, str(rows[0].prediction_id)) < self.spec.rollout.canary

    def requests(self, version: str) -> Requests:
        """The requests of one of the versions that answer; of another one they are noted for nobody."""
        answering = (one for one in (self.canary, self.current) if one and one.version == version)
        return next((one.requests for one in answering), Requests())

    def _look(self) -> None:
        try:
            version = self.project.registry.champion()
            if version and (self.current is None or self.current.version != version.version):
                self._take(version.version, copies.fetch(self.project, version))
            if self.spec.rollout.canary:
                self._follow(self.project.registry.canary())
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

    def _follow(self, version: Version | None) -> None:
        """Let the registry's canary answer its share; the one that became champion has nothing left to try."""
        current = self.current
        if version is None or current is None or current.version == version.version:
            self.canary = None
        elif self.canary is None or self.canary.version != version.version:
            try:
                with TemporaryDirectory() as parent:
                    artifacts.fetch(self.project.settings, version, Path(parent) / "served")
                    self.canary = self._load(version.version, Path(parent) / "served")
                logger.info("%s: version %s is the canary", self.spec.name, version.version)
            except httpx.HTTPError:
                raise  # the registry's fault, not the version's
            except Exception as error:
                logger.exception("%s: the canary does not load", self.spec.name)
                judged = Judgement(version.version, current.version, f"it does not load: {error}", {})
                rollout.withdraw(self.project, judged, self._now())

    def _judge(self) -> None:
        """End a canary whose requests break their bounds, and go back from such a champion when it is new."""
        canary, current, bounds = self.canary, self.current, self.spec.rollout
        try:
            if canary and current and (reason := rollout.broken(bounds, canary.requests.figures())):
                self.canary = None
                rollout.withdraw(self.project, Judgement(canary.version, current.version, reason, {}), self._now())
            if current and (reason := rollout.broken(bounds, current.requests.figures())):
                self._go_back(current, reason)
        except Exception as error:
            self._note(f"{type(error).__name__}: {error}")
            self.retry_at = time.monotonic() + RETRY_SECONDS

    def _go_back(self, current: Champion, reason: str) -> None:
        entries, now = decisions.entries(self.project), self._now()
        new = rollout.is_new(self.spec, entries, current.version, now)
        if new and self.project.registry.previous():
            rollout.go_back(self.project, now, reason)
            self._look()

    def _now(self) -> DecisionTime:
        return DecisionTime(self.project.clock.now(), datetime.now(UTC))

    def _load(self, version: str, folder: Path) -> Champion:
        features = OnlineFeatures(self.project)
        champion = Champion(version, ServedModel(folder), features, datetime.now(UTC))
        champion.predict([parsed_example(self.spec)], [datetime.now(UTC)])
        return champion

    def _take_copy(self) -> None:
        """Answer with the last champion's copy until the registry can be asked."""
        folder = copies.remembered(self.project)
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
