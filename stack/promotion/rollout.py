"""Rollouts: the review of a canary and of a new champion, and the way back to the previous version.

:func:`broken` and :func:`worse` decide from figures alone; :func:`review` collects the figures and acts on them.
A champion that came by a rollback is never rolled back automatically, and a rollback leaves no previous version, so
that two versions cannot alternate.
"""

import time
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import httpx
import numpy as np

from stack.core import alerts
from stack.core.errors import no_answer
from stack.core.notices import Reporter
from stack.core.wait import wait_until
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime, Entry, Judgement
from stack.registry.registry import Version
from stack.serving import scoring
from stack.specification.sections import Rollout
from stack.specification.specs import ProjectSpec

LOAD_SECONDS = 10.0
"""Within these the prediction service loads another champion; it looks for decisions every second."""


@dataclass(frozen=True)
class Figures:
    """Recent requests, errors and latency of a version."""

    requests: int
    errors: int
    p99_ms: float


@dataclass(frozen=True)
class Losses:
    """Mean losses of two versions on the same labelled requests."""

    rows: int
    mean: float
    other: float


def broken(rollout: Rollout, figures: Figures) -> str:
    """Return which bound a version's requests break; empty when none, or when there are too few."""
    if figures.requests < rollout.min_requests:
        return ""
    rate = figures.errors / figures.requests
    if rate > rollout.max_error_rate:
        return f"{figures.errors} of {figures.requests} requests failed, more than {rollout.max_error_rate:.0%}"
    if rollout.max_latency_ms is not None and figures.p99_ms > rollout.max_latency_ms:
        return f"p99 of {figures.requests} requests {figures.p99_ms:.0f} ms, more than {rollout.max_latency_ms:g}"
    return ""


def worse(rollout: Rollout, losses: Losses) -> str:
    """Return by how much a version's loss exceeds the other's, where it is more than the bound; empty otherwise."""
    if rollout.max_loss_increase is None or losses.rows < rollout.min_labelled:
        return ""
    if losses.mean - losses.other <= rollout.max_loss_increase:
        return ""
    return (
        f"loss {losses.mean:.4f} instead of {losses.other:.4f} on {losses.rows:,} labelled requests, "
        f"more than {rollout.max_loss_increase:g} above it"
    )


def is_new(spec: ProjectSpec, entries: list[Entry], version: str, now: DecisionTime) -> Entry | None:
    """Return the promotion of the champion, if it is the last change of it and within ``rollback_within``."""
    moves = [entry for entry in entries if entry.kind in ("promote", "rollback") and entry.state == "done"]
    last = moves[-1] if moves else None
    if last is None or (last.kind, last.version) != ("promote", version) or last.champion is None:
        return None
    return last if now.at - last.at <= spec.rollout.rollback_within else None


def review(project: Project, now: DecisionTime) -> Entry | None:
    """Promote or withdraw the canary when its time is over; roll back a new champion that is worse.

    Returns:
        The decision; None where nothing is decided.
    """
    champion, canary = project.registry.champion(), project.registry.canary()
    if champion is None:
        return None
    entries = decisions.entries(project)
    if canary:
        return _canary(project, champion, canary, entries, now)
    previous, promoted = project.registry.previous(), is_new(project.spec, entries, champion.version, now)
    if previous is None or promoted is None or project.spec.rollout.max_loss_increase is None:
        return None
    reason = worse(project.spec.rollout, compare(project, champion, previous, promoted.at, now.at))
    return go_back(project, now, reason) if reason else None


def go_back(project: Project, now: DecisionTime, reason: str) -> Entry:
    """Make the previous version champion again, and alarm.

    Raises:
        StackError: there is no previous version.
    """
    entry = decisions.rollback(project, now, reason)
    title = f"{project.name}: rolled back to version {entry.version}"
    alerts.notify(project.settings, title, f"version {entry.champion}: {reason}")
    return entry


def withdraw(project: Project, judgement: Judgement, now: DecisionTime) -> Entry | None:
    """Stop the canary from answering, and alarm."""
    entry = decisions.withdraw(project, judgement, now)
    if entry:
        title = f"{project.name}: canary version {judgement.version} withdrawn"
        alerts.notify(project.settings, title, judgement.reason)
    return entry


def _canary(
    project: Project, champion: Version, canary: Version, entries: list[Entry], now: DecisionTime
) -> Entry | None:
    if not project.spec.rollout.canary:
        judgement = Judgement(canary.version, champion.version, "project.yaml has no share for a canary", {})
        return withdraw(project, judgement, now)
    started = (entry for entry in reversed(entries) if (entry.kind, entry.version) == ("canary", canary.version))
    start = next(started, None)
    if start is None or now.at - start.at < project.spec.rollout.canary_for:
        return None
    losses = compare(project, canary, champion, start.at, now.at)
    numbers: dict[str, Any] = {"canary": asdict(losses)}
    if reason := worse(project.spec.rollout, losses):
        return withdraw(project, Judgement(canary.version, champion.version, reason, numbers), now)
    share, since = project.spec.rollout.canary, f"{start.at:%Y-%m-%d %H:%M}"
    reason = f"it answered {share:.0%} of the requests from {since} on, within its bounds"
    if losses.rows:
        reason += f"; loss {losses.mean:.4f} against {losses.other:.4f} on {losses.rows:,} labelled requests"
    return decisions.promote(project, Judgement(canary.version, champion.version, reason, numbers), now)


def compare(project: Project, version: Version, other: Version, since: datetime, until: datetime) -> Losses:
    """Measure two versions on the labelled requests of (since, until], whichever version answered them then."""
    log = project.log.read(since, until)
    rows = log[log["label"].notna()]
    if rows.empty:
        return Losses(0, float("nan"), float("nan"))
    columns = {name: rows[name] for name in project.spec.features.columns}
    means = []
    for compared in (version, other):
        with scoring.loaded(project.settings, compared) as model:
            means.append(float(np.mean(project.task.losses(rows["label"], model.predict(columns)))))
    return Losses(len(rows), *means)


def roll_back_and_wait(project: Project, when: DecisionTime, reason: str, report: Reporter) -> None:
    """Make the previous version champion, and report when it answers; needs neither Prefect nor its worker.

    Raises:
        StackError: there is no previous version, or the registry does not answer.
    """
    try:
        entry = decisions.rollback(project, when, reason)
    except httpx.TransportError as error:
        raise no_answer(f"MLflow at {project.settings.mlflow_url}", error, "make up") from error
    report(f"{project.name}: version {entry.version} is champion again, after version {entry.champion}")
    began = time.monotonic()
    if _answers(project, entry.version):
        report(f"version {entry.version} answers, {time.monotonic() - began:.1f} s after the decision")
    else:
        report(f"the prediction service at {project.settings.prediction_url} does not answer with it yet: make status")


def _answers(project: Project, version: str) -> bool:
    """Wait until the prediction service answers with a version; return whether it does in time."""

    def is_champion() -> bool:
        try:
            projects = client.get("/readyz").json()["projects"]
        except httpx.ConnectError:
            raise
        except httpx.HTTPError:
            return False
        return bool(projects.get(project.name, {}).get("champion") == version)

    with httpx.Client(base_url=project.settings.prediction_url, timeout=2, trust_env=False) as client:
        try:
            return wait_until(is_champion, LOAD_SECONDS, pause=0.1)
        except httpx.ConnectError:
            return False
