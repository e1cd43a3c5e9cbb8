"""The rules of the drift policy: what each says of the last window, given those before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from stack.kit.drift import Action, Reason, Window
from stack.specification.sections import Monitoring

DAY = timedelta(days=1)
Rule = Callable[["History"], Reason | None]
"""Judges the last window; None where the project has no limit for it."""


@dataclass(frozen=True)
class History:
    """The windows of a project by rising instant; the last one is judged."""

    policy: Monitoring
    windows: Sequence[Window]
    at: datetime
    """The project's present instant."""
    cutoff: datetime | None
    """The champion's training cut-off; None without a champion."""

    @property
    def last(self) -> Window:
        """The window that is judged."""
        return self.windows[-1]

    def alarm(self, breaks: Callable[[Window], bool], action: Action) -> tuple[Action, str]:
        """Return the action if `breaches` of the last `windows` windows break a limit, and how many do, as text."""
        count, of = sum(map(breaks, self.windows[-self.policy.windows :])), self.policy.windows
        counts = breaks(self.last) and count >= self.policy.breaches
        text = f", in {count} of the last {of} windows ({self.policy.breaches} needed)" if count and of > 1 else ""
        return (action if counts else "none"), text

    def too_few(self, name: str) -> Reason | None:
        """Return why the last window decides nothing; None where it has rows enough."""
        rows, needed = self.last.rows, self.policy.min_rows
        if rows >= needed:
            return None
        return Reason(name, None, needed, "none", f"{name}: {rows:,} rows; at least {needed:,} needed")


def drift(history: History) -> Reason:
    """Give notice from ``max_drift_share`` on."""
    share, limit = history.last.drift_share, history.policy.max_drift_share
    if (few := history.too_few("drift")) or share is None:
        return few or Reason("drift", None, limit, "none", "drift: no feature column could be compared")

    def breaks(window: Window) -> bool:
        return window.drift_share is not None and window.drift_share >= limit

    action, windows = history.alarm(breaks, "notice")
    text = f"drift: {share:.0%} of the feature columns, notice from {limit:.0%}{windows}"
    return Reason("drift", share, limit, action, text)


def predictions(history: History) -> Reason:
    """Give notice when the predictions drift."""
    drifts, threshold = history.last.prediction_drift, history.policy.threshold
    if (few := history.too_few("predictions")) or drifts is None:
        return few or Reason("predictions", None, threshold, "none", "predictions: none in the window")
    action, windows = history.alarm(lambda window: bool(window.prediction_drift), "notice")
    text = f"predictions: {'drift' if drifts else 'no drift'} by {history.policy.method}{windows}"
    return Reason("predictions", float(drifts), threshold, action, text)


def missing(history: History) -> Reason:
    """Give notice of columns that miss more values than the reference, by ``max_missing_rise``."""
    lost, limit = history.last.lost, history.policy.max_missing_rise
    if not lost:
        return Reason("missing", 0, limit, "none", "missing: no column lost its values")
    text = f"missing: {', '.join(lost)} lost values; serving continues without them"
    return Reason("missing", len(lost), limit, "notice", text)


def unreadable(history: History) -> Reason | None:
    """Tell how many logged predictions cannot be read; they are in no figure of the report."""
    count = history.last.measured.get("unreadable")
    if not count:
        return None
    return Reason("unreadable", count, None, "none", f"unreadable: {count:,.0f} logged predictions are left out")


def _labelled(name: Literal["bias", "loss"], history: History) -> Reason | None:
    """Retrain when enough labelled rows since the champion's cut-off are beyond the limit."""
    policy, cutoff = history.policy, history.cutoff
    limit: float | None = getattr(policy, f"max_{name}")
    if limit is None or cutoff is None:
        return None
    own = [window for window in history.windows if window.at > cutoff]
    history = replace(history, windows=own or history.windows[-1:])
    value, labelled = getattr(history.last, name), history.last.labelled
    if value is None or labelled < policy.min_labelled:
        text = f"{labelled:,} labelled rows since the cut-off; at least {policy.min_labelled:,} needed"
        return Reason(name, value, limit, "none", f"{name}: {text}")

    def breaks(window: Window) -> bool:
        measured = getattr(window, name)
        return measured is not None and window.labelled >= policy.min_labelled and abs(measured) > limit

    action, windows = history.alarm(breaks, "retrain")
    text = f"{value:+.4f} over {policy.bias_window.days} days, limit {limit:g}, {labelled:,} labelled rows"
    return Reason(name, value, limit, action, f"{name}: {text} since the cut-off{windows}")


bias, loss = partial(_labelled, "bias"), partial(_labelled, "loss")


def age(history: History) -> Reason | None:
    """Retrain at ``max_age`` of the data that the champion was trained on."""
    if history.cutoff is None:
        return None
    days, limit = (history.at - history.cutoff) / DAY, history.policy.max_age / DAY
    text = f"age: champion trained on data {days:.0f} days old, limit {limit:.0f}"
    return Reason("age", days, limit, "retrain" if days >= limit else "none", text)
