"""The drift policy: which alarm retrains, which only gives notice. Plain functions over a history of windows.

Feature drift alone never retrains: 13,000 flights are 14 days, and days that do not drift at all alarm most tests.
A calibration gap or a loss over weeks, with enough labels since the champion was trained, does; so does its age.
Bad data is no reason to retrain either: validation refuses it before it gets here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from stack.core.errors import StackError
from stack.kit.drift import Action, Reason, Verdict, Window
from stack.project import contract
from stack.specification.specs import Monitoring, ProjectSpec

DAY = timedelta(days=1)


def verdict(spec: ProjectSpec, history: Sequence[Window], *, at: datetime, cutoff: datetime | None) -> Verdict:
    """Decide as ``monitoring`` in project.yaml says, or as the project's own ``drift.py`` does.

    Raises:
        StackError: ``drift.py`` has no ``decide``, or it answers something else than a verdict.
    """
    usual = decide(spec.monitoring, history, at=at, cutoff=cutoff)
    own = contract.drift(spec.name)
    if own is None:
        return usual
    found = own.decide(usual, spec.monitoring, history, at=at, cutoff=cutoff) if hasattr(own, "decide") else None
    if not isinstance(found, Verdict):
        raise StackError(
            f"{spec.folder / 'drift.py'}, decide",
            found=f"the answer {found!r}" if hasattr(own, "decide") else "no such function",
            expected="decide(usual, policy, history, *, at, cutoff) -> stack.kit.drift.Verdict",
            todo="give back `usual`, or a Verdict of your own reasons",
        )
    return found


def decide(policy: Monitoring, history: Sequence[Window], *, at: datetime, cutoff: datetime | None) -> Verdict:
    """Apply the policy to the last window of `history`.

    An alarm counts when the last window breaks its limit, and so do `breaches` of the last `windows` windows. Within
    the cool-down after a retraining was asked for, what asks for another one gives notice only.

    Args:
        policy: ``spec.monitoring``.
        history: windows by rising instant; the last one is judged.
        at: the project's present instant.
        cutoff: the champion's training cut-off; None without a champion, then nothing retrains.
    """
    reasons: list[Reason | None] = [
        _drift(policy, history),
        _predictions(policy, history),
        _lost(policy, history[-1]),
    ]
    if cutoff is not None:
        own = [window for window in history if window.at > cutoff] or history[-1:]
        reasons += [_bias(policy, own), _loss(policy, own), _age(policy, at, cutoff)]
    return Verdict(tuple(_cooled(policy, history, reason, at) for reason in reasons if reason))


def _alarm(
    policy: Monitoring, history: Sequence[Window], breaks: Callable[[Window], bool], action: Action
) -> tuple[Action, str]:
    """The action when enough of the last windows break a limit, and how many do, in words."""
    found = sum(map(breaks, history[-policy.windows :]))
    counted = breaks(history[-1]) and found >= policy.breaches
    told = f", {found} of {policy.breaches} windows needed within {policy.windows}" if policy.windows > 1 else ""
    return (action if counted else "none"), told if found else ""


def _enough(policy: Monitoring, window: Window) -> bool:
    return window.rows >= policy.min_rows


def _too_few(name: str, policy: Monitoring, window: Window) -> Reason:
    text = f"{name}: {window.rows:,} rows, fewer than {policy.min_rows:,} decide nothing"
    return Reason(name, None, policy.min_rows, "none", text)


def _drift(policy: Monitoring, history: Sequence[Window]) -> Reason:
    share, limit = history[-1].drift_share, policy.max_drift_share
    if share is None or not _enough(policy, history[-1]):
        return _too_few("drift", policy, history[-1])
    action, told = _alarm(
        policy, history, lambda one: one.drift_share is not None and one.drift_share >= limit, "notice"
    )
    return Reason(
        "drift", share, limit, action, f"drift: {share:.0%} of the feature columns, notice from {limit:.0%}{told}"
    )


def _predictions(policy: Monitoring, history: Sequence[Window]) -> Reason:
    window = history[-1]
    if not _enough(policy, window):
        return _too_few("predictions", policy, window)
    if window.prediction_drift is None:
        return Reason("predictions", None, policy.threshold, "none", "predictions: none in the window")
    action, told = _alarm(policy, history, lambda one: bool(one.prediction_drift), "notice")
    drift = "drift" if window.prediction_drift else "do not drift"
    text = f"predictions: they {drift} by {policy.method}{told}"
    return Reason("predictions", float(window.prediction_drift), policy.threshold, action, text)


def _lost(policy: Monitoring, window: Window) -> Reason:
    text = "missing: no column lost its values"
    if window.lost:
        text = f"missing: {', '.join(window.lost)} lost values, serving goes on without them"
    found = len(window.lost)
    return Reason("missing", found, policy.max_missing_rise, "notice" if found else "none", text)


def _bias(policy: Monitoring, history: Sequence[Window]) -> Reason | None:
    limit = policy.max_bias
    if limit is None:
        return None

    def breaks(one: Window) -> bool:
        return one.bias is not None and one.labelled >= policy.min_labelled and abs(one.bias) > limit

    return _of_labels(policy, history, "bias", history[-1].bias, limit, breaks)


def _loss(policy: Monitoring, history: Sequence[Window]) -> Reason | None:
    limit = policy.max_loss
    if limit is None:
        return None

    def breaks(one: Window) -> bool:
        return one.loss is not None and one.labelled >= policy.min_labelled and one.loss > limit

    return _of_labels(policy, history, "loss", history[-1].loss, limit, breaks)


def _of_labels(
    policy: Monitoring,
    history: Sequence[Window],
    name: str,
    found: float | None,
    limit: float,
    breaks: Callable[[Window], bool],
) -> Reason:
    """A rule about answers whose outcome is known."""
    labelled = history[-1].labelled
    if found is None or labelled < policy.min_labelled:
        text = f"{name}: {labelled:,} labelled rows since the cut-off, {policy.min_labelled:,} decide"
        return Reason(name, found, limit, "none", text)
    action, told = _alarm(policy, history, breaks, "retrain")
    text = (
        f"{name}: {found:+.4f} over {policy.bias_window.days} days, limit {limit:g}, "
        f"{labelled:,} labelled rows since the cut-off{told}"
    )
    return Reason(name, found, limit, action, text)


def _age(policy: Monitoring, at: datetime, cutoff: datetime) -> Reason:
    days, limit = (at - cutoff) / DAY, policy.max_age / DAY
    text = f"age: the champion knows the world up to {days:.0f} days ago, limit {limit:.0f}"
    return Reason("age", days, limit, "retrain" if days >= limit else "none", text)


def _cooled(policy: Monitoring, history: Sequence[Window], reason: Reason, at: datetime) -> Reason:
    """Let a reason to retrain wait until the cool-down is over."""
    asked = [window.at for window in history[:-1] if window.retrained]
    if reason.action != "retrain" or not asked or at - asked[-1] >= policy.cool_down:
        return reason
    waited, wanted = (at - asked[-1]) / DAY, policy.cool_down / DAY
    text = f"{reason.text}; a retraining was asked for {waited:.0f} days ago, cool-down {wanted:.0f}"
    return replace(reason, action="notice", text=text)
