"""Roll back to the previous version, and wait until it answers. Needs neither Prefect nor its worker."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from stack.core.errors import StackError
from stack.core.wait import wait_until
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime

PATIENCE = 10.0
"""Seconds within which the prediction service loads another champion; it asks every second."""


def run(project: Project, when: DecisionTime, reason: str, report: Callable[[str], None]) -> None:
    """Make the previous version champion, and report when it answers.

    Raises:
        StackError: there is no previous version, or the registry does not answer.
    """
    try:
        entry = decisions.rollback(project, when, reason)
    except httpx.TransportError as error:
        raise StackError(
            f"MLflow at {project.settings.mlflow_url}", found=str(error), expected="an answer", todo="make up"
        ) from error
    report(f"{project.name}: version {entry.version} is champion again, after version {entry.champion}")
    began = time.monotonic()
    if _answers(project, entry.version):
        report(f"version {entry.version} answers, {time.monotonic() - began:.1f} s after the decision")
    else:
        report(f"the prediction service at {project.settings.prediction_url} does not answer with it yet: make status")


def _answers(project: Project, version: str) -> bool:
    """Wait until the prediction service answers with a version; return whether it does in time."""
    with httpx.Client(base_url=project.settings.prediction_url, timeout=2, trust_env=False) as client:
        try:
            return wait_until(lambda: _champion(client, project.name) == version, PATIENCE, pause=0.1)
        except httpx.ConnectError:
            return False


def _champion(client: httpx.Client, name: str) -> str | None:
    try:
        champion: str | None = client.get("/readyz").json()["projects"].get(name, {}).get("champion")
    except httpx.ConnectError:
        raise
    except httpx.HTTPError:
        return None
    return champion
