"""The challenger as a shadow: it answers what the champion has answered, in the background, into a log of its own."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import BoundedSemaphore
from typing import Any

import httpx

from services.prediction import metrics
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.registry import artifacts
from stack.serving.served import ServedModel

WAITING = 64
"""Batches that may wait for the shadow; more are left out, so that it never holds up an answer."""

logger = logging.getLogger("stack.prediction")


class Shadow:
    """Follows a project's challenger. Whatever goes wrong with it, the champion's answers do not notice."""

    def __init__(self, project: Project) -> None:
        self.project, self.settings, self.spec = project, project.settings, project.spec
        self._challenger: tuple[str, ServedModel] | None = None
        self._tried = ""  # the version that was tried last; one that does not load is not tried again
        self._room = BoundedSemaphore(WAITING)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    @property
    def version(self) -> str | None:
        """The version that answers along."""
        return self._challenger and self._challenger[0]

    def look(self) -> None:
        """Ask the registry who the challenger is, and load it when it is another one; nobody follows a promotion."""
        try:
            version = self.project.registry.challenger()
            if version is None:
                self._challenger = None
            elif version.version not in (self._challenger and self._challenger[0], self._tried):
                with TemporaryDirectory() as parent:
                    artifacts.fetch(self.settings, version, Path(parent) / "served")
                    self._tried = version.version
                    self._challenger = (version.version, ServedModel(Path(parent) / "served"))
                logger.info("%s: version %s is the shadow", self.spec.name, version.version)
        except httpx.HTTPError:
            return  # a registry that does not answer changes nothing
        except Exception:
            self._challenger = None
            logger.exception("%s: no shadow", self.spec.name)

    def answer(self, columns: Mapping[str, Sequence[Any]], answered: Sequence[Prediction]) -> None:
        """Let the challenger answer rows whose predictions are logged; returns at once.

        Args:
            columns: feature values of the rows, as the champion was given them.
            answered: the champion's predictions, a row each.
        """
        challenger = self._challenger
        if challenger is None:
            return
        if not self._room.acquire(blocking=False):
            metrics.SHADOWS.labels(self.spec.name, "left out").inc(len(answered))
            return
        self._thread.submit(self._work, *challenger, columns, answered)

    def _work(
        self, version: str, model: ServedModel, columns: Mapping[str, Sequence[Any]], answered: Sequence[Prediction]
    ) -> None:
        outcome = "failed"
        try:
            self.project.shadows.write(version, answered, model.predict(columns).reshape(len(answered), -1))
            outcome = "logged"
        except Exception:
            logger.exception("%s: the shadow, version %s, gave no answer", self.spec.name, version)
        finally:
            self._room.release()
            metrics.SHADOWS.labels(self.spec.name, outcome).inc(len(answered))
