"""The drift policy: which alarm retrains, and which only gives notice, by the rules of the monitored metrics.

Feature drift alone never retrains: 13,000 flights are 14 days, and days that do not drift at all alarm most tests.
A calibration gap or a loss over weeks, with enough labels since the champion was trained, does; so does its age.
Bad data is no reason to retrain either: validation refuses it first.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from monitoring import metrics
from monitoring.rules import DAY, History
from stack.core.errors import StackError
from stack.kit.drift import Reason, Verdict, Window
from stack.project import Project
from stack.specification.sections import Monitoring


def verdict(project: Project, windows: Sequence[Window], *, at: datetime, cutoff: datetime | None) -> Verdict:
    """Decide as ``monitoring`` in project.yaml says, or as the project's own ``drift.py`` does.

    Raises:
        StackError: ``drift.py`` has no ``decide``, or does not return a verdict.
    """
    policy, own = project.spec.monitoring, project.drift
    usual = decide(policy, windows, at=at, cutoff=cutoff)
    if project.spec.imported:
        usual = Verdict(tuple(_noticed(reason) for reason in usual.reasons if reason.name != "age"))
    if own is None:
        return usual
    has_function = hasattr(own, "decide")
    answer = own.decide(usual, policy, windows, at=at, cutoff=cutoff) if has_function else None
    if isinstance(answer, Verdict):
        return answer
    raise StackError(
        f"{project.spec.folder / 'drift.py'}, decide",
        found=f"the answer {answer!r}" if has_function else "no such function",
        expected="decide(usual, policy, history, *, at, cutoff) -> stack.kit.drift.Verdict",
        todo="return `usual`, or a Verdict of your own reasons",
    )


def decide(policy: Monitoring, windows: Sequence[Window], *, at: datetime, cutoff: datetime | None) -> Verdict:
    """Apply the rule of each monitored metric to the last window.

    An alarm counts when the last window breaks its limit, and so do `breaches` of the last `windows` windows. Within
    the cool-down after a retraining was requested, a reason for another one gives notice only.

    Args:
        policy: ``spec.monitoring``.
        windows: by rising instant.
        at: the project's present instant.
        cutoff: the champion's training cut-off; without a champion nothing retrains.
    """
    history = History(policy, windows, at, cutoff)
    reasons = (metric.rule(history) for metric in metrics.METRICS)
    return Verdict(tuple(_cooled(history, reason) for reason in reasons if reason))


def _noticed(reason: Reason) -> Reason:
    """Turn a reason to retrain into a notice, as of a model that was trained elsewhere."""
    if reason.action != "retrain":
        return reason
    return replace(reason, action="notice", text=f"{reason.text}; the model was imported: `make import` a newer one")


def _cooled(history: History, reason: Reason) -> Reason:
    """Turn a reason to retrain into a notice until the cool-down is over."""
    requested = [window.at for window in history.windows[:-1] if window.retrained]
    cool_down = history.policy.cool_down
    if reason.action != "retrain" or not requested or history.at - requested[-1] >= cool_down:
        return reason
    days, needed = (history.at - requested[-1]) / DAY, cool_down / DAY
    text = f"{reason.text}; a retraining was requested {days:.0f} days ago, cool-down {needed:.0f}"
    return replace(reason, action="notice", text=text)
