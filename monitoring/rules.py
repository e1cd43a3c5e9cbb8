"""The rules of the drift policy: what each says of the last window, given those before it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from stack.kit.drift import Action, Reason, Sample, Window
from stack.specification.sections import Monitoring

DAY = timedelta(days=1)
LEAST_ROWS = 50
"""Fewer rows show nothing but a shift by more than a standard deviation, and no metric worth its name."""
LEAST_SHIFT = 0.2
"""Kolmogorov-Smirnov distance by which a number must be further from the reference than in any window before."""
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
        """Return why the last window decides nothing; None where it has rows enough, or tells its origins apart."""
        rows, needed = self.last.rows, self.policy.min_rows
        if rows >= needed or self.last.samples:
            return None
        return Reason(name, None, needed, "none", f"{name}: {rows:,} rows; at least {needed:,} needed")


def drift(history: History) -> Reason:
    """Give notice from ``max_drift_share`` on, and of any drifting column of `samples`."""
    share, samples, limit = history.last.drift_share, history.last.samples, history.policy.max_drift_share
    if (few := history.too_few("drift")) or (share is None and not samples):
        return few or Reason("drift", None, limit, "none", "drift: no feature column could be compared")

    def breaks(window: Window) -> bool:
        of_share = window.drift_share is not None and window.drift_share >= limit
        return of_share or any(sample.drifted for sample in window.samples)

    action, windows = history.alarm(breaks, "notice")
    texts = [] if share is None else [f"{share:.0%} of the feature columns, notice from {limit:.0%}"]
    text = f"drift: {'; '.join([*texts, *map(_described, samples)])}{windows}"
    counts = [len(sample.drifted) for sample in samples if sample.drifted is not None]
    return Reason("drift", max(counts, default=None) if share is None else share, limit, action, text)


def _described(sample: Sample) -> str:
    """Return what is said of the drift of rows of one origin."""
    rows = f"{sample.rows:,} {sample.origin}"
    if sample.drifted is None:
        return f"{rows}, too few to say (at least {LEAST_ROWS} needed)"
    if not sample.drifted:
        return f"no column in {rows}"
    return f"{', '.join(sample.drifted)} in {rows} ({len(sample.drifted)} of {sample.columns} columns)"


def shift(history: History) -> Reason | None:
    """Give notice of a single number of a table with time that moves at once, as no season or trend does.

    It must be far from the reference, beyond what its own windows were, and those since the champion's cut-off that
    gave no notice.
    """
    usual: dict[str, float] = {}
    moved: dict[datetime, list[str]] = {}
    for window in history.windows:
        if window is not history.last and history.cutoff and window.at <= history.cutoff:
            continue
        shifts = window.shifts.items()
        moved[window.at] = [name for name, far in shifts if far > usual.get(name, 0) + LEAST_SHIFT]
        usual |= {name: max(far, usual.get(name, 0)) for name, far in shifts if name not in moved[window.at]}
    if not (names := moved[history.last.at]):
        return None
    action, windows = history.alarm(lambda window: bool(moved.get(window.at)), "notice")
    text = f"shift: {', '.join(names)} moved further from the reference than in any window before{windows}"
    return Reason("shift", max(history.last.shifts[name] for name in names), LEAST_SHIFT, action, text)


def predictions(history: History) -> Reason:
    """Give notice when the predictions drift."""
    drifts, threshold = history.last.prediction_drift, history.policy.threshold
    if (few := history.too_few("predictions")) or drifts is None:
        text = "predictions: too few, or none, in the window"
        return few or Reason("predictions", None, threshold, "none", text)
    action, windows = history.alarm(lambda window: bool(window.prediction_drift), "notice")
    method = history.policy.method if history.last.rows >= history.policy.min_rows else "a test of significance"
    text = f"predictions: {'drift' if drifts else 'no drift'} by {method}{windows}"
    return Reason("predictions", float(drifts), threshold, action, text)


def missing(history: History) -> Reason:
    """Give notice of columns that miss more values than the reference, by ``max_missing_rise``."""
    lost, limit, decided = history.last.lost, history.policy.max_missing_rise, history.last.decided
    if not lost:
        text = "missing: no column lost its values" if decided else "missing: too few rows to say"
        return Reason("missing", 0 if decided else None, limit, "none", text)
    text = f"missing: {', '.join(lost)} lost values; serving continues without them"
    return Reason("missing", len(lost), limit, "notice", text)


def performance(history: History) -> Reason | None:
    """Tell how many labelled rows the metrics are of; rows that the champion was trained on are none of them."""
    rows, trained_on = (history.last.measured.get(name) for name in ("performance", "trained_on"))
    if rows is None:
        return None
    few = f", too few to say (at least {LEAST_ROWS} needed)" if rows < LEAST_ROWS else ""
    more = f"; {trained_on:,.0f} others are left out, as the champion was trained on them" if trained_on else ""
    return Reason(
        "performance", None if few else rows, LEAST_ROWS, "none", f"performance: {rows:,.0f} labelled rows{few}{more}"
    )


def estimated_loss(history: History) -> Reason | None:
    """Tell the loss that is expected before labels; beyond ``max_loss`` it gives notice."""
    measured, limit = history.last.measured, history.policy.max_loss
    loss, error = measured.get("estimated_loss"), measured.get("estimate_error")
    if loss is None:
        return None
    action, windows = history.alarm(
        lambda window: limit is not None and window.measured.get("estimated_loss", 0) > limit, "notice"
    )
    past = "" if error is None else f"; earlier estimates of this version were off by {error:.4f}, in the mean"
    bound = "" if limit is None else f", limit {limit:g}"
    text = f"estimated loss: {loss:.4f}, by the probabilities alone{bound}{past}{windows}"
    return Reason("estimated_loss", None if limit is None else loss, limit, action, text)


def coverage(history: History) -> Reason | None:
    """Give notice when the intervals hold a smaller or a larger share of the outcomes than they should.

    Sets of classes hold a larger one where the model is right more often: the most probable class is always in them.
    """
    level, limit = history.last.measured.get("interval"), history.policy.max_coverage_gap
    if level is None:
        return None
    share = history.last.measured.get("coverage")
    if share is None:
        return Reason("coverage", None, limit, "none", f"coverage: fewer than {LEAST_ROWS} outcomes with an interval")

    of_sets = history.last.measured.get("set_size") is not None

    def breaks(window: Window) -> bool:
        missing = level - window.measured.get("coverage", level)
        return (missing if of_sets else abs(missing)) > limit

    action, windows = history.alarm(breaks, "notice")
    text = f"coverage: {share:.0%} of the outcomes are inside their {level:.0%} intervals, limit {limit:.0%} off"
    if of_sets:
        text = f"coverage: {share:.0%} of the outcomes are in their sets of classes, limit {level - limit:.0%}"
    return Reason("coverage", share, limit, action, f"{text}{windows}")


def unreadable(history: History) -> Reason | None:
    """Tell how many logged predictions cannot be read; they are in no figure of the report."""
    count = history.last.measured.get("unreadable")
    if not count:
        return None
    return Reason("unreadable", count, None, "none", f"unreadable: {count:,.0f} logged predictions are left out")


def reference(history: History) -> Reason | None:
    """Tell that the window is compared with the first answers, as an import came without rows."""
    count = history.last.measured.get("reference")
    if count is None:
        return None
    text = f"reference: the first {count:,.0f} answers of the version, as it was imported without a sample"
    return Reason("reference", count, None, "none", text)


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
        return Reason(name, None, limit, "none", f"{name}: {text}")

    def breaks(window: Window) -> bool:
        measured = getattr(window, name)
        return measured is not None and window.labelled >= policy.min_labelled and abs(measured) > limit

    action, windows = history.alarm(breaks, "retrain")
    text = f"{value:+.4f} over {policy.bias_window.days} days, limit {limit:g}, {labelled:,} labelled rows"
    return Reason(name, value, limit, action, f"{name}: {text} since the cut-off{windows}")


bias, loss = partial(_labelled, "bias"), partial(_labelled, "loss")


def age(history: History) -> Reason | None:
    """Retrain at ``max_age`` of the data that the champion was trained on, once they have grown by ``min_growth``."""
    if history.cutoff is None:
        return None
    days, limit = (history.at - history.cutoff) / DAY, history.policy.max_age / DAY
    growth, needed = history.last.growth, history.policy.min_growth
    grown = growth is None or growth >= needed
    text = f"age: champion trained on data {days:.0f} days old, limit {limit:.0f}"
    if needed and growth is not None:
        text += f"; its data have grown by {growth:.1%} since, {needed:.1%} needed"
    return Reason("age", days, limit, "retrain" if days >= limit and grown else "none", text)
