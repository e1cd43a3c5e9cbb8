"""The words of a drift policy: what a review measured, which rules were held against it, and what follows.

A project may decide for itself, in ``projects/<name>/drift.py``::

    def decide(usual: Verdict, policy: Monitoring, history: Sequence[Window], *, at, cutoff) -> Verdict: ...

`usual` is the verdict of ``monitoring`` in project.yaml; give it back, with more or fewer reasons, or make another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

__all__ = ["Action", "Reason", "Verdict", "Window"]

Action = Literal["retrain", "notice", "none"]


@dataclass(frozen=True)
class Window:
    """What was measured up to one instant."""

    at: datetime
    """End of the window."""
    rows: int
    drift_share: float | None = None
    """Share of the feature columns that drift; None when the rows were too few to say."""
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
    retrained: bool = False
    """Whether a retraining was requested at this instant."""
    measured: Mapping[str, float] = field(default_factory=dict)
    """Value of each monitored metric that is defined in the window."""


@dataclass(frozen=True)
class Reason:
    """One rule of the policy: the number found, its limit, and what follows from it."""

    name: str
    found: float | None
    limit: float | None
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
