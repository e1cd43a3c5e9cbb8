"""The second look: at a canary that has answered its share, and at a champion that is new.

:func:`broken` and :func:`worse` decide from figures alone; :func:`review` collects them and carries out what follows.
A champion that came by a rollback is never rolled back by itself, and a rollback leaves no previous version, so that
two versions cannot take turns.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from stack.core import alerts
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime, Entry, Judgement
from stack.registry.registry import Version
from stack.serving import scoring
from stack.specification import tasks
from stack.specification.specs import ProjectSpec, Rollout


@dataclass(frozen=True)
class Figures:
    """What the requests of a version were like lately."""

    requests: int
    errors: int
    p99_ms: float


@dataclass(frozen=True)
class Losses:
    """Two versions on the same labelled requests."""

    rows: int
    mean: float
    other: float


def broken(rollout: Rollout, found: Figures) -> str:
    """Say which bound a version's requests break; empty when none, or when they are too few to tell."""
    if found.requests < rollout.min_requests:
        return ""
    rate = found.errors / found.requests
    if rate > rollout.max_error_rate:
        return f"{found.errors} of {found.requests} requests failed, more than {rollout.max_error_rate:.0%}"
    if rollout.max_latency_ms is not None and found.p99_ms > rollout.max_latency_ms:
        return f"p99 of {found.requests} requests {found.p99_ms:.0f} ms, more than {rollout.max_latency_ms:g}"
    return ""


def worse(rollout: Rollout, found: Losses) -> str:
    """Say that a version's loss is larger than the other's by more than the bound; empty otherwise."""
    if rollout.max_loss_increase is None or found.rows < rollout.min_labelled:
        return ""
    if found.mean - found.other <= rollout.max_loss_increase:
        return ""
    return (
        f"loss {found.mean:.4f} instead of {found.other:.4f} on {found.rows:,} labelled requests, "
        f"more than {rollout.max_loss_increase:g} above it"
    )


def is_new(spec: ProjectSpec, entries: list[Entry], version: str, now: DecisionTime) -> Entry | None:
    """The promotion that made a version champion, when it is the last move and not longer ago than bounds reach.

    On either clock, as errors and latency have no other than the wall's.
    """
    moves = [one for one in entries if one.kind in ("promote", "rollback") and one.state == "done"]
    last = moves[-1] if moves else None
    if last is None or (last.kind, last.version) != ("promote", version) or last.champion is None:
        return None
    return last if now.at - last.at <= spec.rollout.rollback_within else None


def review(project: Project, now: DecisionTime) -> Entry | None:
    """Promote or withdraw the canary when its time is over; roll back a new champion that does worse.

    Returns:
        The decision, when one was taken.
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
    alerts.notify(
        project.settings,
        f"{project.spec.name}: rolled back to version {entry.version}",
        f"version {entry.champion}: {reason}",
    )
    return entry


def withdraw(project: Project, judged: Judgement, now: DecisionTime) -> Entry | None:
    """Let the canary answer no more, and alarm."""
    entry = decisions.withdraw(project, judged, now)
    if entry:
        alerts.notify(
            project.settings, f"{project.spec.name}: canary version {judged.version} withdrawn", judged.reason
        )
    return entry


def _canary(
    project: Project, champion: Version, canary: Version, entries: list[Entry], now: DecisionTime
) -> Entry | None:
    begun = next((one for one in reversed(entries) if (one.kind, one.version) == ("canary", canary.version)), None)
    if begun is None or now.at - begun.at < project.spec.rollout.canary_for:
        return None
    found = compare(project, canary, champion, begun.at, now.at)
    numbers: dict[str, Any] = {"canary": asdict(found)}
    if reason := worse(project.spec.rollout, found):
        return withdraw(project, Judgement(canary.version, champion.version, reason, numbers), now)
    share, since = project.spec.rollout.canary, f"{begun.at:%Y-%m-%d %H:%M}"
    lasted = f"it answered {share:.0%} of the requests from {since} on, within its bounds"
    compared = f"loss {found.mean:.4f} against {found.other:.4f} on {found.rows:,} labelled requests"
    reason = f"{lasted}; {compared}" if found.rows else lasted
    return decisions.promote(project, Judgement(canary.version, champion.version, reason, numbers), now)


def compare(project: Project, one: Version, other: Version, since: datetime, until: datetime) -> Losses:
    """Let two versions answer the labelled requests of (since, until], whoever answered them then."""
    log = project.log.read(since, until)
    rows = log[log["label"].notna()]
    if rows.empty:
        return Losses(0, float("nan"), float("nan"))
    task, columns = tasks.of(project.spec), {name: rows[name] for name in project.spec.features.columns}
    means = []
    for version in (one, other):
        with scoring.loaded(project.settings, version) as model:
            means.append(float(np.mean(task.losses(rows["label"], model.predict(columns)))))
    return Losses(len(rows), *means)
