"""The challenger as a shadow: it predicts what the champion has predicted, in the background, into its own log."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

import httpx

from services.prediction import metrics
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.registry import artifacts
from stack.serving.served import ServedModel

MAX_QUEUED = 64
"""Batches that may wait for the shadow; more are dropped, so that it never delays an answer."""

logger = logging.getLogger("stack.prediction")


class Shadow:
    """Runs a project's challenger in the background. Its failures never affect the champion's answers."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._challenger: tuple[str, ServedModel] | None = None
        self._last_tried = ""  # a version that does not load is not tried again
        self._asked = False
        self.slots = BoundedSemaphore(MAX_QUEUED)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")

    @property
    def version(self) -> str | None:
        """The version that runs as shadow."""
        return self._challenger and self._challenger[0]

    def refresh(self, moved: bool = True) -> None:
        """Load the registry's challenger, if it may have `moved`; a promoted challenger leaves no shadow."""
        if self._asked and not moved:
            return
        self._asked = False
        try:
            version = self.project.registry.challenger()
            self._asked = True
            if version is None:
                self._challenger, self._last_tried = None, ""
            elif version.version != self._last_tried:
                with artifacts.folder(self.project.settings, version, "served") as folder:
                    self._last_tried = version.version
                    self._challenger = (version.version, ServedModel(folder))
                logger.info("%s: version %s is the shadow", self.project.name, version.version)
        except httpx.HTTPError:
            return  # a registry that does not answer changes nothing
        except Exception:
            self._challenger = None
            logger.exception("%s: the shadow does not load", self.project.name)

    def answer(self, columns: Mapping[str, Sequence[Any]], predictions: Sequence[Prediction]) -> None:
        """Queue the features and logged predictions of the champion's rows for the challenger; return at once."""
        challenger = self._challenger
        if challenger is None:
            return
        if not self.slots.acquire(blocking=False):
            metrics.SHADOWS.labels(self.project.name, "left out").inc(len(predictions))
            return
        self._thread.submit(self._work, *challenger, columns, predictions)

    def _work(
        self, version: str, model: ServedModel, columns: Mapping[str, Sequence[Any]], predictions: Sequence[Prediction]
    ) -> None:
        outcome = "failed"
        try:
            self.project.log.write_shadows(version, predictions, model.answer(columns), model.threshold)
            outcome = "logged"
        except Exception:
            logger.exception("%s: the shadow, version %s, failed to predict", self.project.name, version)
        finally:
            self.slots.release()
            metrics.SHADOWS.labels(self.project.name, outcome).inc(len(predictions))
