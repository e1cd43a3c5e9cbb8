"""Answer a batch of rows: one read of features, one run of the model, one commit of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from services.prediction import metrics
from services.prediction.ids import uuids
from services.prediction.live_models import LiveModels
from services.prediction.schema import Answer, Row, new_values
from stack.prediction_log.predictions import Prediction


def answer(models: LiveModels, by_canary: bool, rows: Sequence[Row]) -> list[Answer]:
    """Answer rows with one version; the log holds them on disk when this returns.

    A row with the id of a logged prediction is answered again, and logged once. Rows of a canary that has been
    withdrawn in the meantime are answered by the champion.

    Raises:
        LookupError: the project has no champion.
    """
    project, spec = models.project, models.spec
    model = (models.canary if by_canary else None) or models.champion
    if model is None:
        raise LookupError(f"{spec.name} has no champion")
    now, answered_at = project.clock.now(), datetime.now(UTC)
    requests = [{name: getattr(row, name) for name in spec.request} for row in rows]
    instants = [min(getattr(row, "asked_at", None) or now, now) for row in rows]
    features, outputs = model.predict(requests, instants)
    names, values = list(features.columns), zip(*features.columns.values(), strict=True)
    predictions = [
        Prediction(
            str(row.prediction_id or prediction_id),
            asked_at=asked_at,
            answered_at=answered_at,
            request=request,
            features=dict(zip(names, row_features, strict=True)),
            features_at=features_at,
            model_version=model.version,
            answer=models.task.reply(output, model.model.threshold),
        )
        for row, prediction_id, asked_at, request, row_features, features_at, output in zip(
            rows, uuids(answered_at, len(rows)), instants, requests, values, features.times, outputs, strict=True
        )
    ]
    project.log.write(predictions)
    if models.shadow:
        models.shadow.answer(features.columns, predictions)
    metrics.ROWS.labels(spec.name).observe(len(rows))
    warnings = [[*new_values(spec, request), *more] for request, more in zip(requests, features.warnings, strict=True)]
    metrics.WARNED.labels(spec.name).inc(sum(map(bool, warnings)))
    return [_answer(models, *pair) for pair in zip(predictions, warnings, strict=True)]


def _answer(models: LiveModels, prediction: Prediction, warnings: list[str]) -> Answer:
    """Return the answer for a logged prediction; its types are known, so they are not validated again."""
    return models.answer.model_construct(
        **prediction.answer,
        model_version=prediction.model_version,
        prediction_id=prediction.id,
        features_at=prediction.features_at,
        warnings=warnings,
    )
