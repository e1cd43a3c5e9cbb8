"""What was true: a caller tells it by prediction id, typed as the project's outcomes are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pandas as pd
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from services.prediction.schema import MAX_ROWS, Request, title
from stack.project import Project
from stack.specification import tasks
from stack.specification.specs import ProjectSpec


class Label(BaseModel):
    """What was true of one prediction."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prediction_id: UUID = Field(description="Id of the prediction, as its answer told it")
    known_at: AwareDatetime | None = Field(
        None, description="Instant on the project's clock at which it was known, at most its now; default: now"
    )


class Noted(BaseModel):
    """What became of the labels."""

    labelled: int = Field(description="Predictions whose label is now the one that was told")
    unknown: list[str] = Field(description="Ids that are not in the prediction log of this project")


class Feedback(Request):
    """A feedback body."""

    @classmethod
    def names(cls) -> list[str]:
        """Names that a caller may have meant."""
        return ["labels", "prediction_id", "label", "known_at"]

    @classmethod
    def expected(cls, mistake: Any) -> str:
        """What a correct body has in the place of a mistake."""
        loc = mistake["loc"]
        if mistake["type"] == "extra_forbidden":
            return "only prediction_id, label, known_at" if len(loc) > 1 else "only labels"
        if len(loc) == 2:
            return "an object with prediction_id and label"
        places = {"prediction_id": "a UUID", "known_at": "ISO 8601 date and time with its zone"}
        places["label"] = f"{tasks.of(cls.spec).outcomes} ({cls.spec.label})"
        found = places.get(str(loc[-1])) if len(loc) == 3 else None
        return found or f'{{"labels": [...]}} with 1 to {MAX_ROWS} labels'


def feedback_model(spec: ProjectSpec) -> type[Feedback]:
    """Make the model of a feedback body: ``{"labels": [...]}`` of 1 to MAX_ROWS labels."""
    task = tasks.of(spec)
    kind, example = task.outcome_type, task.outcome_example
    outcome = Field(description=f"The outcome: {spec.label}", json_schema_extra={"example": example})
    label = create_model(f"{title(spec)}Label", __base__=Label, label=(kind, outcome))
    one = {"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "label": example}
    labels = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description=f"1 to {MAX_ROWS} labels",
        examples=[[one]],
        json_schema_extra={"example": [one]},
    )
    made = create_model(f"{title(spec)}Feedback", __base__=Feedback, labels=(list[label], labels))
    made.spec = spec
    return made


def note(project: Project, labels: Sequence[Any]) -> Noted:
    """Put labels to their predictions; of two about the same one the last counts."""
    now = project.clock.now()
    values = tasks.of(project.spec).encode(
        pd.Series([one.label for one in labels], dtype=object), f"feedback to {project.spec.name}"
    )
    told: dict[str, tuple[float, datetime]] = {
        str(one.prediction_id): (float(value), min(one.known_at or now, now))
        for one, value in zip(labels, values, strict=True)
    }
    known = project.log.label_predictions(told)
    return Noted(labelled=len(known), unknown=[name for name in told if name not in known])
