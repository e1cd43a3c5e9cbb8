"""Go back to the previous version, and see it answer. Needs the registry, but neither Prefect nor its worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from stack.core.errors import StackError
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime

PATIENCE = 10.0
"""Seconds in which the prediction service takes up another champion; it looks every second."""


def run(project: Project, when: DecisionTime, reason: str, say: Callable[[str], None]) -> None:
    """Make the previous version champion, and tell when it answers.

    Raises:
        StackError: there is no previous version, or the registry does not answer.
    """
    try:
        entry = decisions.rollback(project, when, reason)
    except httpx.TransportError as error:
        raise StackError(
            f"MLflow at {project.settings.mlflow_url}", found=str(error), expected="an answer", todo="make up"
        ) from error
    say(f"{project.spec.name}: version {entry.version} is champion again, after version {entry.champion}")
    seconds = _until_it_answers(project, entry.version)
    if seconds is None:
        say(f"the prediction service at {project.settings.prediction_url} does not answer with it yet: make status")
    else:
        say(f"version {entry.version} answers, {seconds:.1f} s after the decision")


def _until_it_answers(project: Project, version: str) -> float | None:
    """Seconds until the prediction service says that the version answers; None when it does not in time."""
    began = time.monotonic()
    with httpx.Client(base_url=project.settings.prediction_url, timeout=2, trust_env=False) as client:
        while (passed := time.monotonic() - began) < PATIENCE:
            try:
                found = client.get("/readyz").json()["projects"].get(project.spec.name, {}).get("champion")
            except httpx.ConnectError:
                return None
            except httpx.HTTPError:
                found = None
            if found == version:
                return passed
            time.sleep(0.1)
    return None
