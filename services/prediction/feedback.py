"""Feedback: labels that a caller sends by prediction id, typed as the project's outcomes are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import pandas as pd
from pydantic import BaseModel, Field, create_model

from services.prediction.openapi import Mistake, mistake
from services.prediction.schema import STRICT, Body, Instant, body_model, title
from stack.project import Project
from stack.specification import tasks
from stack.specification.fields import Datetime, Number
from stack.specification.specs import ProjectSpec


class Label(BaseModel):
    """The true outcome of one prediction."""

    model_config = STRICT

    prediction_id: UUID = Field(description="Id of the prediction, as in its answer")
    known_at: Instant | None = Field(
        None, description="Instant on the project's clock at which it became known, at most now; default: now"
    )


class FeedbackResult(BaseModel):
    """How many labels were recorded."""

    labelled: int = Field(description="Predictions whose label is now the given one")
    unknown: list[str] = Field(
        description="Ids that are not in the prediction log of this project, or have left it after STACK_KEEP_DAYS"
    )


def feedback_model(spec: ProjectSpec) -> type[Body]:
    """Return the model of a feedback body: ``{"labels": [{"prediction_id": ..., "label": ...}]}``."""
    task = tasks.of(spec)
    limits: dict[str, Any] = {"ge": Number.least, "le": Number.greatest} if task.numeric else {}
    outcome = Field(description=f"The outcome: {spec.label}", examples=[task.outcome_example], **limits)
    label = create_model(f"{title(spec)}Label", __base__=Label, label=(task.outcome_type, outcome))
    body = {"labels": [{"prediction_id": "01890a5d-ac96-774b-bcce-b302099a8057", "label": task.outcome_example}]}
    expected = {
        "prediction_id": "a UUID",
        "label": f"{task.outcomes} ({spec.label})",
        "known_at": Datetime.description,
    }
    model = body_model(spec, "Feedback", label, body, expected, "")
    model.items = '[{"prediction_id": ..., "label": ...}]'
    return model


def record_labels(project: Project, labels: Sequence[Any]) -> FeedbackResult | list[Mistake]:
    """Attach labels to their predictions; of two for the same prediction the last counts.

    Where labels were known before their predictions were asked for, return these mistakes and attach none.
    """
    now, asked_at = project.clock.now(), project.log.asked_at({str(label.prediction_id) for label in labels})
    early = [
        mistake(["labels", position, "known_at"], label.known_at, f"at least the instant of the prediction, {asked}")
        for position, label in enumerate(labels)
        if label.known_at and (asked := asked_at.get(str(label.prediction_id))) and label.known_at < asked
    ]
    if early:
        return early
    values = project.task.encode(
        pd.Series([label.label for label in labels], dtype=object), f"feedback to {project.name}"
    )
    by_id: dict[str, tuple[float, datetime]] = {
        str(label.prediction_id): (float(value), min(label.known_at or now, now))
        for label, value in zip(labels, values, strict=True)
    }
    known = project.log.label_predictions(by_id)
    return FeedbackResult(labelled=len(known), unknown=[name for name in by_id if name not in known])
