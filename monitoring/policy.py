"""The drift policy: which alarm retrains, which only gives notice. A pure function over measured windows.

Feature drift alone never retrains: 13,000 flights are 14 days, and days that do not drift at all alarm most tests.
A calibration gap over weeks, with enough labels since the champion was trained, does; so does the champion's age.
Bad data is no reason to retrain either: validation refuses it before it gets here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from stack.project import Monitoring

Action = Literal["retrain", "notice", "none"]


@dataclass(frozen=True)
class Window:
    """What was measured up to one instant.

    Args:
        at: end of the window.
        rows: rows of the window.
        drift_share: share of feature columns that drift; None when the rows were too few to say.
        prediction_drift: whether the probabilities drift; None as above, or without predictions.
        lost: feature columns that miss far more values than the reference does.
        labelled: labelled rows answered since the champion's training cut-off.
        bias: mean probability minus observed rate of those within the bias window; None without labels.
    """

    at: datetime
    rows: int
    drift_share: float | None = None
    prediction_drift: bool | None = None
    lost: tuple[str, ...] = ()
    labelled: int = 0
    bias: float | None = None


@dataclass(frozen=True)
class Reason:
    """One rule of the policy: the number found, its limit, and what follows from it."""

    name: str
    found: float | None
    limit: float
    action: Action
    text: str


@dataclass(frozen=True)
class Verdict:
    """What the policy decided, with every rule it looked at."""

    reasons: tuple[Reason, ...]

    @property
    def retrain(self) -> bool:
        """Whether a new model is to be trained."""
        return any(reason.action == "retrain" for reason in self.reasons)

    @property
    def notice(self) -> bool:
        """Whether somebody should look, though no model is trained for it."""
        return any(reason.action == "notice" for reason in self.reasons)

    @property
    def action(self) -> Action:
        """The strongest action of all rules."""
        return "retrain" if self.retrain else "notice" if self.notice else "none"

    @property
    def summary(self) -> str:
        """One line: what follows, and the rules that asked for it."""
        asked = [reason.text for reason in self.reasons if reason.action == self.action != "none"]
        said = {"retrain": "Retrain", "notice": "Notice", "none": "Nothing to do"}[self.action]
        return f"{said}: {'; '.join(asked)}" if asked else said


def decide(policy: Monitoring, history: Sequence[Window], *, at: datetime, cutoff: datetime | None) -> Verdict:
    """Apply the policy to the last window of `history`.

    Args:
        policy: ``spec.monitoring``.
        history: windows by rising instant; the last one is judged.
        at: the project's present instant.
        cutoff: the champion's training cut-off; None without a champion, then nothing retrains.
    """
    window = history[-1]
    reasons = [_drift(policy, history), _predictions(policy, window), _lost(policy, window)]
    if cutoff is not None:
        reasons += [_bias(policy, window), _age(policy, at, cutoff)]
    return Verdict(tuple(reasons))


def _enough(policy: Monitoring, window: Window) -> bool:
    return window.rows >= policy.min_rows


def _too_few(name: str, policy: Monitoring, window: Window) -> Reason:
    text = f"{name}: {window.rows:,} rows, fewer than {policy.min_rows:,} decide nothing"
    return Reason(name, None, policy.min_rows, "none", text)


def _drift(policy: Monitoring, history: Sequence[Window]) -> Reason:
    share = history[-1].drift_share
    if share is None or not _enough(policy, history[-1]):
        return _too_few("drift", policy, history[-1])
    drifts = share >= policy.max_drift_share
    text = f"drift: {share:.0%} of the feature columns, notice from {policy.max_drift_share:.0%}"
    running = _running(policy, history)
    if running > 1:
        text += f", {running} windows in a row"
    return Reason("drift", share, policy.max_drift_share, "notice" if drifts else "none", text)


def _running(policy: Monitoring, history: Sequence[Window]) -> int:
    """Number of windows in a row, up to the last, that drift."""
    for count, window in enumerate(reversed(history)):
        if window.drift_share is None or window.drift_share < policy.max_drift_share:
            return count
    return len(history)


def _predictions(policy: Monitoring, window: Window) -> Reason:
    if not _enough(policy, window):
        return _too_few("predictions", policy, window)
    if window.prediction_drift is None:
        return Reason("predictions", None, policy.threshold, "none", "predictions: none in the window")
    drifts = window.prediction_drift
    text = f"predictions: they {'drift' if drifts else 'do not drift'} by {policy.method}"
    return Reason("predictions", float(drifts), policy.threshold, "notice" if drifts else "none", text)


def _lost(policy: Monitoring, window: Window) -> Reason:
    text = "missing: no column lost its values"
    if window.lost:
        text = f"missing: {', '.join(window.lost)} lost values, serving goes on without them"
    found = len(window.lost)
    return Reason("missing", found, policy.max_missing_rise, "notice" if found else "none", text)


def _bias(policy: Monitoring, window: Window) -> Reason:
    if window.bias is None or window.labelled < policy.min_labelled:
        text = f"bias: {window.labelled:,} labelled rows since the cut-off, {policy.min_labelled:,} decide"
        return Reason("bias", window.bias, policy.max_bias, "none", text)
    action: Action = "retrain" if abs(window.bias) > policy.max_bias else "none"
    text = (
        f"bias: {window.bias:+.4f} over {policy.bias_window.days} days, limit {policy.max_bias}, "
        f"{window.labelled:,} labelled rows since the cut-off"
    )
    return Reason("bias", window.bias, policy.max_bias, action, text)


def _age(policy: Monitoring, at: datetime, cutoff: datetime) -> Reason:
    days, limit = (at - cutoff).total_seconds() / 86_400, policy.max_age.total_seconds() / 86_400
    text = f"age: the champion knows the world up to {days:.0f} days ago, limit {limit:.0f}"
    return Reason("age", days, limit, "retrain" if days >= limit else "none", text)
