"""The types of a drift policy: the measurements of a review, its rules, and their verdict.

A project may have its own policy, in ``projects/<name>/drift.py``::

    def decide(usual: Verdict, policy: Monitoring, history: Sequence[Window], *, at, cutoff) -> Verdict: ...

`usual` is the verdict of ``monitoring`` in project.yaml: return it, with more or fewer reasons, or another verdict.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = ["Action", "Reason", "Sample", "Verdict", "Window"]

Action = Literal["retrain", "notice", "none"]


@dataclass(frozen=True)
class Sample:
    """The drift of rows of one origin, of which a single drifting column gives notice."""

    origin: str
    """``requests``, or ``new rows`` of the lake."""
    rows: int
    drifted: Sequence[str] | None = None
    """Feature columns that drift; None when the rows were too few to say."""
    columns: int = 0
    """Number of feature columns that were compared."""


@dataclass(frozen=True)
class Window:
    """The measurements of a window."""

    at: datetime
    """End of the window."""
    rows: int
    drift_share: float | None = None
    """Share of the feature columns that drift; None when the rows were too few to say, or `samples` say it."""
    prediction_drift: bool | None = None
    """Whether the answers drift; None as above, or without answers."""
    lost: tuple[str, ...] = ()
    """Feature columns that miss far more values than the reference does."""
    labelled: int = 0
    """Labelled rows answered since the champion's training cut-off."""
    bias: float | None = None
    """Mean answer minus mean outcome of those within the bias window; None without labels."""
    loss: float | None = None
    """Mean loss of the same rows: log-loss, or squared error."""
    growth: float | None = None
    """Time since the champion's training cut-off, as a share of the span of its training data; None where unknown."""
    samples: Sequence[Sample] = ()
    """Rows of a table without time, and rows too few for a share of the columns, by origin."""
    shifts: Mapping[str, float] = field(default_factory=dict)
    """Of numbers of a table with time that differ from the reference by more than chance: by how much further they are
    from it than its own windows were, as a Kolmogorov-Smirnov distance of 0 to 1."""
    retrained: bool = False
    """Whether a retraining was requested at this instant."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Value of each monitored metric that is defined in the window."""

    @property
    def decided(self) -> bool:
        """Whether the rows were enough to say whether they drift."""
        return self.drift_share is not None or any(sample.drifted is not None for sample in self.samples)


@dataclass(frozen=True)
class Reason:
    """A rule of the policy: the measured number, its limit, and the action that follows."""

    name: str
    found: float | None
    """None where too little was measured to decide."""
    limit: float | None
    action: Action
    text: str


@dataclass(frozen=True)
class Verdict:
    """The decision of the policy, with every rule that it evaluated."""

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
    def decided(self) -> bool:
        """Whether any rule but those of the champion's age and of unreadable rows had enough to decide."""
        return any(reason.found is not None for reason in self.reasons if reason.name not in ("age", "unreadable"))

    @property
    def summary(self) -> str:
        """One line: what follows, and the rules that asked for it, or why none could decide."""
        if self.action == "none" and not self.decided:
            return "; ".join(["Undecided", *(reason.text for reason in self.reasons if reason.name == "drift")])
        reasons = [reason.text for reason in self.reasons if reason.action == self.action != "none"]
        action = {"retrain": "Retrain", "notice": "Notice", "none": "Nothing to do"}[self.action]
        return f"{action}: {'; '.join(reasons)}" if reasons else action
