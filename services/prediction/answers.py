"""The way of a batch of rows: one read of features, one run of the model, one commit of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from services.prediction import metrics
from services.prediction.champions import Seat
from services.prediction.ids import uuids
from services.prediction.schema import Answer, Row, new_values
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project


def answer(settings: Settings, seat: Seat, by_canary: bool, rows: Sequence[Row]) -> list[Answer]:
    """Answer rows with one version; the log holds them on disk when this returns.

    A row that brings the id of a logged prediction is answered anew, and logged once. Rows of a canary that is
    withdrawn meanwhile are the champion's.

    Raises:
        LookupError: the project has no champion.
    """
    spec, champion = seat.spec, (seat.canary if by_canary else None) or seat.current
    if champion is None:
        raise LookupError(f"{spec.name} has no champion")
    now, answered_at = Project(settings, spec).clock.now(), datetime.now(UTC)
    requests = [{name: getattr(row, name) for name in spec.request} for row in rows]
    instants = [min(getattr(row, "asked_at", None) or now, now) for row in rows]
    found, answers = champion.predict(requests, instants)
    names, values = list(found.columns), zip(*found.columns.values(), strict=True)
    logged = [
        Prediction(
            str(row.prediction_id or prediction_id),
            asked_at=asked_at,
            answered_at=answered_at,
            request=request,
            features=dict(zip(names, features, strict=True)),
            features_at=features_at,
            model_version=champion.version,
            answer=seat.task.reply(one, champion.model.threshold),
        )
        for row, prediction_id, asked_at, request, features, features_at, one in zip(
            rows, uuids(answered_at, len(rows)), instants, requests, values, found.times, answers, strict=True
        )
    ]
    Project(settings, spec).log.write(logged)
    if seat.shadow:
        seat.shadow.answer(found.columns, logged)
    metrics.ROWS.labels(spec.name).observe(len(rows))
    warnings = [[*new_values(spec, one), *more] for one, more in zip(requests, found.warnings, strict=True)]
    metrics.WARNED.labels(spec.name).inc(sum(map(bool, warnings)))
    return [_answer(seat, one, warned) for one, warned in zip(logged, warnings, strict=True)]


def _answer(seat: Seat, one: Prediction, warnings: list[str]) -> Answer:
    """What the caller is told of a logged prediction; its types are known, so they are not checked again."""
    return seat.answer.model_construct(
        **one.answer,
        model_version=one.model_version,
        prediction_id=one.id,
        features_at=one.features_at,
        warnings=warnings,
    )
