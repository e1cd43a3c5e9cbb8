"""Feedback: labels that a caller sends by prediction id, typed as the project's outcomes are."""

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
    """The true outcome of one prediction."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    prediction_id: UUID = Field(description="Id of the prediction, as in its answer")
    known_at: AwareDatetime | None = Field(
        None, description="Instant on the project's clock at which it became known, at most now; default: now"
    )


class FeedbackResult(BaseModel):
    """How many labels were recorded."""

    labelled: int = Field(description="Predictions whose label is now the given one")
    unknown: list[str] = Field(description="Ids that are not in the prediction log of this project")


class Feedback(Request):
    """A feedback body."""

    @classmethod
    def names(cls) -> list[str]:
        """Return names that a caller may have meant."""
        return ["labels", "prediction_id", "label", "known_at"]

    @classmethod
    def expected(cls, mistake: Any) -> str:
        """Return what a correct body has in the place of a mistake."""
        loc = mistake["loc"]
        if mistake["type"] == "extra_forbidden":
            return "only prediction_id, label, known_at" if len(loc) > 1 else "only labels"
        if len(loc) == 2:
            return "an object with prediction_id and label"
        places = {"prediction_id": "a UUID", "known_at": "ISO 8601 date and time with its zone"}
        places["label"] = f"{tasks.of(cls.spec).outcomes} ({cls.spec.label})"
        text = places.get(str(loc[-1])) if len(loc) == 3 else None
        return text or f'{{"labels": [...]}} with 1 to {MAX_ROWS} labels'


def feedback_model(spec: ProjectSpec) -> type[Feedback]:
    """Make the model of a feedback body: ``{"labels": [...]}`` of 1 to MAX_ROWS labels."""
    task = tasks.of(spec)
    kind, example = task.outcome_type, task.outcome_example
    outcome = Field(description=f"The outcome: {spec.label}", json_schema_extra={"example": example})
    label = create_model(f"{title(spec)}Label", __base__=Label, label=(kind, outcome))
    label_example = {"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "label": example}
    labels = Field(
        min_length=1,
        max_length=MAX_ROWS,
        description=f"1 to {MAX_ROWS} labels",
        examples=[[label_example]],
        json_schema_extra={"example": [label_example]},
    )
    body = create_model(f"{title(spec)}Feedback", __base__=Feedback, labels=(list[label], labels))
    body.spec = spec
    return body


def record_labels(project: Project, labels: Sequence[Any]) -> FeedbackResult:
    """Attach labels to their predictions; of two for the same prediction the last counts."""
    now = project.clock.now()
    values = tasks.of(project.spec).encode(
        pd.Series([label.label for label in labels], dtype=object), f"feedback to {project.spec.name}"
    )
    by_id: dict[str, tuple[float, datetime]] = {
        str(label.prediction_id): (float(value), min(label.known_at or now, now))
        for label, value in zip(labels, values, strict=True)
    }
    known = project.log.label_predictions(by_id)
    return FeedbackResult(labelled=len(known), unknown=[name for name in by_id if name not in known])
