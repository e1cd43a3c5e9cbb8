"""What the rules of the drift policy share: the windows they judge, and how many of them break a limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from stack.kit.drift import Action, Reason, Window
from stack.specification.specs import Monitoring

DAY = timedelta(days=1)


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

    def since_cutoff(self) -> History:
        """Keep the windows of the present champion, and the last one in any case."""
        own = [window for window in self.windows if self.cutoff is None or window.at > self.cutoff]
        return replace(self, windows=own or self.windows[-1:])

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

    def upper_limit(self, name: str, limit: float, action: Action, text: str) -> Reason:
        """Judge a measured value that should not exceed a limit.

        Args:
            name: of the monitored metric.
            limit: from ``monitoring`` of project.yaml.
            action: what follows from values above it.
            text: format string of the value and the limit, as in ``"{:.1%}, limit {:.1%}"``.
        """
        value = self.last.measured.get(name)
        if value is None:
            return Reason(name, None, limit, "none", f"{name}: not measured")
        result, windows = self.alarm(lambda window: (window.measured.get(name) or 0) > limit, action)
        return Reason(name, value, limit, result, f"{name}: {text.format(value, limit)}{windows}")
