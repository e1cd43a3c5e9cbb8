"""The section ``costs`` of a project's specification: what a wrong decision of a binary task costs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, model_validator

from stack.specification.sections import Spec

if TYPE_CHECKING:
    import numpy as np


class Costs(Spec):
    """What a decision of a binary task costs, in any unit; a model's threshold costs least on the folds."""

    missed: float = Field(1.0, gt=0)
    """Of a positive outcome that is decided negative."""
    false_alarm: float = Field(0.0, ge=0)
    """Of a negative outcome that is decided positive, beside `call`."""
    call: float = Field(0.0, ge=0)
    """Of each positive decision, right or wrong: less than `missed`."""
    budget: float | None = Field(None, gt=0)
    """The best so many a day alone can be decided positive (in the mean of the folds' days; of a table that is split at
    random, of each thousand rows); no limit when left out."""

    @model_validator(mode="after")
    def _have_two_sides(self) -> Self:
        if self.call >= self.missed:
            raise ValueError(f"call: less than missed ({self.missed:g}), as else no positive decision is worth it")
        if not (self.false_alarm or self.call or self.budget):
            raise ValueError("missed: false_alarm, call or budget beside it, as else every decision is positive")
        return self

    def of(self, label: Any, probability: Any, threshold: float) -> np.ndarray:
        """Return the cost of each row, (n,), from encoded outcomes and probabilities."""
        import numpy as np

        positive, outcome = np.asarray(probability) >= threshold, np.asarray(label) == 1
        return np.asarray(np.where(positive, self.call + self.false_alarm * ~outcome, self.missed * outcome))

    def without_model(self, rate: float) -> float:
        """Return the mean cost of the best constant decision, where so large a share of the outcomes is positive."""
        always = self.call + self.false_alarm * (1 - rate)
        return self.missed * rate if self.budget else min(always, self.missed * rate)
