"""The models that answer for a project: loaded beside the live ones, and swapped in one step when an alias moves."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from services.prediction import metrics, model_cache
from services.prediction.canary import RequestWindow, hash_fraction, uuid7
from services.prediction.schema import Row, answer_model, parsed_example
from services.prediction.shadow import Shadow
from stack.core.errors import StackError
from stack.features.online import OnlineFeatures, OnlineRows
from stack.project import Project
from stack.promotion import decisions, rollout
from stack.promotion.decisions import DecisionTime, Judgement
from stack.registry import artifacts
from stack.registry.registry import Version
from stack.serving import corrections
from stack.serving.reasons import Reasons, UnexplainableError
from stack.serving.served import ServedModel

RETRY_SECONDS = 3.0
FETCH_AGAIN_SECONDS = 5.0
"""After which a version that does not load is downloaded again: its artifact may have been repaired."""

logger = logging.getLogger("stack.prediction")


class ModelError(Exception):
    """A model failed to predict: the model's own fault, unlike an unreachable database."""


class UnloadableError(Exception):
    """The files of a model cannot be loaded."""


@dataclass(frozen=True)
class FailedVersion:
    """A version of the registry that could not be loaded, and until when it is not downloaded again."""

    version: str
    error: Exception
    until: float


@dataclass(frozen=True)
class LoadedModel:
    """A loaded model version and the reader of its features."""

    version: str
    model: ServedModel
    features: OnlineFeatures
    loaded_at: datetime
    requests: RequestWindow = field(default_factory=RequestWindow, repr=False)

    def explain(self, columns: Mapping[str, Sequence[Any]], outputs: Sequence[Sequence[float]]) -> list[Reasons]:
        """Return the reasons of predictions. UnexplainableError: an early release has trained the version."""
        try:
            return self.model.explain(columns, np.asarray(outputs))
        except (UnexplainableError, ValueError):
            raise
        except Exception as error:
            raise ModelError(f"model version {self.version}, reasons: {error}") from error

    def predict(self, requests: list[dict[str, Any]], instants: list[datetime]) -> tuple[OnlineRows, list[list[float]]]:
        """Return the features at each row's instant and the answers, a list of numbers for each row.

        The warnings of the features name the numbers outside the range of training, too.

        ValueError: a prediction is no finite number, which JSON cannot hold; values near the largest have overflowed.
        """
        features = self.features.read(requests, instants)
        try:
            outputs = self.model.answer(features.columns)
        except Exception as error:
            raise ModelError(f"model version {self.version}: {error}") from error
        if not np.isfinite(outputs).all():
            raise ValueError(f"model version {self.version}: the prediction is no finite number")
        outside = zip(self.model.outside(features.columns), features.warnings, strict=True)
        return features._replace(warnings=[found + missing for found, missing in outside]), outputs.tolist()


class LiveModels:
    """The champion, canary and shadow of a project. `champion` is read once a request, replaced in one assignment.

    A registry that does not answer changes nothing: the loaded model stays, and after a restart its copy on disk
    answers.
    """

    champion: LoadedModel | None = None
    previous: LoadedModel | None = None
    canary: LoadedModel | None = None
    """The version that answers a share of the requests during a canary rollout."""
    shadow: Shadow | None = None
    """The challenger that predicts in the background, where project.yaml enables it."""
    problem: str = ""
    """Why the registry's champion is not the one that answers; empty when it is, or when there is none."""
    retry_at: float = 0.0
    _registered: Version | None = None
    """The registry's champion, where it answers."""
    _failed: FailedVersion | None = None
    _stamps: model_cache.Stamps | None = None
    """Of the champion's copy, as it was loaded."""

    def __init__(self, project: Project) -> None:
        self.project, self.spec, self.answer = project, project.spec, answer_model(project.spec)
        if self.spec.rollout.shadow:
            self.shadow = Shadow(project)

    def refresh(self, moved: bool = True) -> None:
        """Load the versions of aliases that may have `moved`; check the champion's copy and the rollout."""
        if time.monotonic() >= self.retry_at:
            self.refresh_live(moved)
            try:
                self._check_rollout()
                self._correct()
            except Exception as error:
                self._retry_later(error)
        if self.shadow:
            self.shadow.refresh(moved)

    def refresh_live(self, moved: bool = True) -> None:
        """Load champion and canary where their aliases have moved; leaves the shadow as it is."""
        moved = moved or bool(self.problem)
        try:
            if moved:
                self._registered = None
                self._registered = self.project.registry.champion()
            version = self._registered
            if version and (self.champion is None or self.champion.version != version.version):
                self._promote(version)
            elif version and self._stamps != model_cache.stamps(model_cache.path(self.project, version)):
                self._stamps = model_cache.stamps(model_cache.fetch(self.project, version))
            if moved and self.spec.rollout.canary:
                self._update_canary(self.project.registry.canary())
            self.problem = ""
        except Exception as error:
            if self.champion is None:
                self._load_cached()
            self._retry_later(error)

    def routes_to_canary(self, rows: Sequence[Row]) -> bool:
        """Return whether the canary answers all rows of a request; assigns the first row an id if it has none."""
        canary = self.canary
        if canary is None:
            return False
        rows[0].prediction_id = rows[0].prediction_id or uuid7(datetime.now(UTC))
        return hash_fraction(canary.version, str(rows[0].prediction_id)) < self.spec.rollout.canary

    def requests(self, version: str) -> RequestWindow:
        """Return the request window of a live version; a throw-away one for any other."""
        live = (model for model in (self.canary, self.champion) if model and model.version == version)
        return next((model.requests for model in live), RequestWindow())

    def load(self, version: str, folder: Path) -> LoadedModel:
        """Load a version and warm it up with the example request. UnloadableError: its files are damaged."""
        try:
            served = ServedModel(folder)
        except Exception as error:
            raise UnloadableError(f"{type(error).__name__}: {error}") from error
        model = LoadedModel(version, served, OnlineFeatures(self.project), datetime.now(UTC))
        model.predict([parsed_example(self.spec)], [datetime.now(UTC)])
        return model

    def _promote(self, version: Version) -> None:
        """Make a version live; a copy of it that does not load is downloaded anew, once."""
        if self._failed and self._failed.version == version.version and time.monotonic() < self._failed.until:
            raise self._failed.error
        try:
            folder = model_cache.fetch(self.project, version)
            try:
                self._go_live(version.version, folder)
            except UnloadableError:
                model_cache.delete(folder)
                self._go_live(version.version, model_cache.fetch(self.project, version))
        except (UnloadableError, StackError) as error:
            self._failed = FailedVersion(version.version, error, time.monotonic() + FETCH_AGAIN_SECONDS)
            raise
        model_cache.mark_champion(folder)

    def _go_live(self, version: str, folder: Path) -> None:
        """Load and warm up a version while the current one answers, then make it live."""
        self.previous, self.champion = self.champion, self.load(version, folder)
        self._stamps = model_cache.stamps(folder)
        metrics.CHAMPION.labels(self.spec.name).set(float(version))
        logger.info("%s: version %s is live", self.spec.name, version)

    def _update_canary(self, version: Version | None) -> None:
        """Make the registry's canary answer its share; a canary that has become champion is no canary any more."""
        champion = self.champion
        if version is None or champion is None or champion.version == version.version:
            self.canary = None
        elif self.canary is None or self.canary.version != version.version:
            try:
                with artifacts.folder(self.project.settings, version, "served") as folder:
                    self.canary = self.load(version.version, folder)
                logger.info("%s: version %s is the canary", self.spec.name, version.version)
            except httpx.HTTPError:
                raise  # the registry's fault, not the version's
            except Exception as error:
                logger.exception("%s: the canary does not load", self.spec.name)
                self._withdraw(version.version, champion, f"it does not load: {error}")

    def _check_rollout(self) -> None:
        """Withdraw a canary whose requests exceed their limits, and roll back such a champion while it is new."""
        canary, champion, limits = self.canary, self.champion, self.spec.rollout
        if canary and champion and (reason := rollout.broken(limits, canary.requests.summary())):
            self.canary = None
            self._withdraw(canary.version, champion, reason)
        if champion and (reason := rollout.broken(limits, champion.requests.summary())):
            now = self._now()
            new = rollout.is_new(self.spec, decisions.entries(self.project), champion.version, now)
            if new and self.project.registry.previous():
                rollout.go_back(self.project, now, reason)
                self.refresh_live()

    def _correct(self) -> None:
        """Let the live models answer with the newest corrections of their intervals."""
        for live in (self.champion, self.canary) if self.spec.interval else ():
            if live:
                corrections.apply(self.project.settings, self.spec.name, live.version, live.model)

    def _withdraw(self, version: str, champion: LoadedModel, reason: str) -> None:
        rollout.withdraw(self.project, Judgement(version, champion.version, reason, {}), self._now())

    def _now(self) -> DecisionTime:
        return DecisionTime(self.project.clock.now(), datetime.now(UTC))

    def _load_cached(self) -> None:
        """Answer with a copy, the last champion's if it can be, until the registry's champion is loaded."""
        for folder in model_cache.whole_copies(self.project):
            try:
                self._go_live(folder.name.partition("-")[0], folder)
            except Exception:
                logger.exception("%s: the copy %s does not load", self.spec.name, folder)
            else:
                return

    def _retry_later(self, error: Exception) -> None:
        """Keep a problem for /readyz, and log it once."""
        problem = self._describe(error)
        if problem != self.problem:
            logger.warning("%s: %s", self.spec.name, problem)
        self.problem, self.retry_at = problem, time.monotonic() + RETRY_SECONDS

    def _describe(self, error: Exception) -> str:
        """Say which version answers instead of which, and why."""
        text = f"{type(error).__name__}: {error}"
        if isinstance(error, StackError):
            text = f"{error.where}: found {error.found}, expected {error.expected}. {error.todo}"
        elif isinstance(error, UnloadableError):
            text = str(error)
        answering = self.champion.version if self.champion else "none"
        if self._registered is None:
            return f"the registry does not answer, {answering} answers: {text}"
        wanted = self._registered.version
        return text if wanted == answering else f"registry says {wanted}, {answering} answers: {text}"
