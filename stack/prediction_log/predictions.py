"""The prediction log: requests, features, answers and, later, labels; and what challengers would have answered.

A row is on the disk before its answer leaves the prediction service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
from pydantic_core import to_json
from sqlalchemy import ColumnElement, Table, bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from stack.core.database import engine, predictions, shadows
from stack.specification import tasks
from stack.specification.fields import Datetime
from stack.specification.specs import ProjectSpec

TIME = "event_timestamp"
"""What a frame calls the instant that a row was asked at; the table calls it ``asked_at``."""
COLUMNS = [column.label(TIME) if column.name == "asked_at" else column for column in predictions.columns]
TIMES = [TIME, "answered_at", "features_at", "label_at"]
PRUNED_AT_ONCE = 5000


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered row."""

    id: str
    """UUID; the same id logged again changes nothing."""
    asked_at: datetime
    """Instant on the project's clock that the features were read for."""
    answered_at: datetime
    """Instant on the wall clock."""
    request: Mapping[str, Any]
    """The request fields."""
    features: Mapping[str, Any]
    """The feature values that the model saw; None where one was missing."""
    features_at: datetime | None
    """Oldest event time of the feature rows used."""
    model_version: str
    answer: Mapping[str, Any]
    """The reply of the project's task, as the caller receives it."""


def event_key(spec: ProjectSpec, request: Mapping[str, Any]) -> str:
    """Return the key of the event that a request asks about: its fields in project.yaml's order, instants in UTC."""
    return to_json([_in_utc(request[field]) for field in spec.request], inf_nan_mode="null").decode()


class PredictionLog:
    """The predictions of a project.

    Args:
        database: SQLAlchemy URL of the state database.
        spec: the project's; it names the request fields, the features and the outputs.
    """

    def __init__(self, database: str, spec: ProjectSpec) -> None:
        self._database, self.spec = database, spec

    def write(self, answered: Sequence[Prediction]) -> None:
        """Write predictions in one commit, which has reached the disk when this returns.

        An id that is already there stays as it is.
        """
        if not answered:
            return
        _insert_new(self._database, predictions, [_row(self.spec, prediction) for prediction in answered])

    def read(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the predictions asked in (since, until], in the order they were asked.

        Returns:
            The columns of the log, with ``event_timestamp`` for ``asked_at``; `request` and `features` spread into a
            column a field, `answer` into those of :attr:`Task.answer_dtypes`, instants as ``datetime64[us, UTC]``,
            `label` encoded, as float64 (NaN until it is known). A feature named as a request field wins.
        """
        query = (
            select(*COLUMNS).where(*_asked(self.spec, since, until)).order_by(predictions.c.asked_at, predictions.c.id)
        )
        with engine(self._database).connect() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        columns = tasks.of(self.spec).columns
        spread = [row | columns(row.pop("answer")) | row.pop("request") | row.pop("features") for row in rows]
        frame = pd.DataFrame(spread, columns=_columns(self.spec))
        for column in TIMES:
            frame[column] = Datetime().from_log(frame[column])
        for column, field in self.spec.request.items():
            frame[column] = field.field_type.from_log(frame[column])
        for column in self.spec.column_types("number"):
            frame[column] = frame[column].astype("Float32")
        dtypes = {"label": "float64", **tasks.of(self.spec).answer_dtypes}
        return frame.astype(dtypes | dict.fromkeys(self.spec.column_types("category"), object))

    def ids(self, since: datetime, until: datetime) -> set[str]:
        """Return the ids of the predictions asked in (since, until]."""
        query = select(predictions.c.id).where(*_asked(self.spec, since, until))
        with engine(self._database).connect() as connection:
            return set(connection.execute(query).scalars())

    def outcomes(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the labelled predictions asked in (since, until], without their features.

        Returns:
            ``event_timestamp`` (datetime64[us, UTC]), ``model_version``, the outputs of the project's task and
            ``label``, ordered by ``event_timestamp``.
        """
        columns = [column for column in COLUMNS if column.name in (TIME, "model_version", "answer", "label")]
        query = (
            select(*columns)
            .where(*_asked(self.spec, since, until), predictions.c.label.is_not(None))
            .order_by(predictions.c.asked_at, predictions.c.id)
        )
        with engine(self._database).connect() as connection:
            rows = [row._asdict() for row in connection.execute(query)]
        task = tasks.of(self.spec)
        names = [TIME, "model_version", *task.outputs, "label"]
        frame = pd.DataFrame([row | task.columns(row.pop("answer")) for row in rows], columns=names)
        frame[TIME] = pd.to_datetime(frame[TIME], utc=True).astype("datetime64[us, UTC]")
        return frame.astype(dict.fromkeys(names[2:], "float64"))

    def label_events(self, labels: pd.DataFrame) -> int:
        """Write the labels of every prediction about these events; an earlier label is replaced.

        Args:
            labels: the request fields, `label` (encoded) and `label_at` (instant it was known).

        Returns:
            Number of predictions that now have their label.
        """
        rows = [
            {
                "event": event_key(self.spec, {str(name): value for name, value in row.items()}),
                "found": float(row["label"]),
                "known": row["label_at"].to_pydatetime().astimezone(UTC),
            }
            for row in labels.to_dict("records")
        ]
        if not rows:
            return 0
        statement = (
            update(predictions)
            .where(predictions.c.project == self.spec.name, predictions.c.event_key == bindparam("event"))
            .values(label=bindparam("found"), label_at=bindparam("known"))
        )
        with engine(self._database).begin() as connection:
            return connection.execute(statement, rows).rowcount

    def label_predictions(self, labels: Mapping[str, tuple[float, datetime]]) -> set[str]:
        """Write labels by prediction id; the same label again changes nothing, not even ``label_at``.

        Args:
            labels: id -> encoded label, and the instant on the project's clock when it was known.

        Returns:
            The ids that are in the log of this project.
        """
        mine, id_, label_ = predictions.c.project == self.spec.name, predictions.c.id, predictions.c.label
        statement = (
            update(predictions)
            .where(id_ == bindparam("named"), or_(label_.is_(None), label_ != bindparam("found")))
            .values(label=bindparam("found"), label_at=bindparam("known"))
        )
        with engine(self._database).begin() as connection:
            known = set(connection.execute(select(id_).where(mine, id_.in_(labels))).scalars())
            rows = [
                {"named": name, "found": labels[name][0], "known": labels[name][1].astimezone(UTC)} for name in known
            ]
            if rows:
                connection.execute(statement, rows)
        return known


class ShadowLog:
    """What challengers would have answered to the requests of a project.

    Args:
        database: SQLAlchemy URL of the state database.
        log: the project's predictions.
    """

    def __init__(self, database: str, log: PredictionLog) -> None:
        self._database, self._log = database, log

    def write(self, version: str, answered: Sequence[Prediction], answers: np.ndarray) -> None:
        """Write a version's answers, (n, outputs), to predictions of the champion; the same again changes nothing."""
        spec = self._log.spec
        reply = tasks.of(spec).reply
        rows = [
            {
                "id": prediction.id,
                "model_version": version,
                "project": spec.name,
                "answer": reply(answer, spec.threshold),
            }
            for prediction, answer in zip(answered, answers, strict=True)
        ]
        _insert_new(self._database, shadows, rows)

    def read(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the predictions asked in (since, until] that a challenger has answers to.

        Returns:
            The prediction log's columns, with ``shadow_version`` and the answer's columns after ``shadow_``; a row for
            each challenger.
        """
        spec = self._log.spec
        task = tasks.of(spec)
        query = select(shadows.c.id, shadows.c.model_version, shadows.c.answer).where(shadows.c.project == spec.name)
        with engine(self._database).connect() as connection:
            rows = [
                {"id": row.id, "shadow_version": row.model_version}
                | {f"shadow_{name}": value for name, value in task.columns(row.answer).items()}
                for row in connection.execute(query)
            ]
        outputs = [f"shadow_{name}" for name in task.outputs]
        found = pd.DataFrame(rows, columns=None if rows else ["id", "shadow_version", *outputs])
        return self._log.read(since, until).merge(found, on="id")


def answer_columns(spec: ProjectSpec) -> list[str]:
    """The columns of an answer in a frame."""
    return list(tasks.of(spec).answer_dtypes)


def prune(database: str, before: datetime) -> int:
    """Delete the predictions answered before an instant of the wall clock; returns how many.

    In many short transactions: an answer waits while another process writes.
    """
    answered = predictions.c.answered_at < before.astimezone(UTC)
    old = (
        select(predictions.c.id)
        .where(answered)
        .order_by(predictions.c.answered_at, predictions.c.id)
        .limit(PRUNED_AT_ONCE)
    )
    pruned = 0
    while True:
        with engine(database).begin() as connection:
            connection.execute(delete(shadows).where(shadows.c.id.in_(old)))
            deleted = connection.execute(delete(predictions).where(predictions.c.id.in_(old))).rowcount
        pruned += deleted
        if deleted < PRUNED_AT_ONCE:
            return pruned


def _insert_new(database: str, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows in one commit; a row whose primary key is there stays as it is."""
    with engine(database).begin() as connection:
        insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
        connection.execute(insert(table).on_conflict_do_nothing(), rows)


def _asked(spec: ProjectSpec, since: datetime, until: datetime) -> list[ColumnElement[bool]]:
    """Return the conditions for a project's predictions asked in (since, until]."""
    asked_at = predictions.c.asked_at
    return [predictions.c.project == spec.name, asked_at > since.astimezone(UTC), asked_at <= until.astimezone(UTC)]


def _row(spec: ProjectSpec, prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as a row of the table."""
    return {
        "id": prediction.id,
        "project": spec.name,
        "asked_at": prediction.asked_at.astimezone(UTC),
        "answered_at": prediction.answered_at.astimezone(UTC),
        "event_key": event_key(spec, prediction.request),
        "request": {name: _in_utc(value) for name, value in prediction.request.items()},
        "features": prediction.features,
        "features_at": prediction.features_at.astimezone(UTC) if prediction.features_at else None,
        "model_version": prediction.model_version,
        "answer": prediction.answer,
    }


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _columns(spec: ProjectSpec) -> list[str]:
    """Return the columns of the log as read: of the table, of the answer, the request fields, the features."""
    kept: list[str] = []
    for column in COLUMNS:
        kept += answer_columns(spec) if column.name == "answer" else [column.name]
    left_out = ("project", "request", "features")
    return list(
        dict.fromkeys([*(name for name in kept if name not in left_out), *spec.request, *spec.features.columns])
    )
