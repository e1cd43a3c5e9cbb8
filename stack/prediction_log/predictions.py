"""The prediction log: requests, features, answers and, later, labels; and what challengers would have answered.

A row is on the disk before its answer leaves the prediction service.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic_core import from_json, to_json
from sqlalchemy import RowMapping, Select, bindparam, null, or_, select, update

from stack.core.database import as_text, engine, insert_new, insert_new_returning, predictions, shadows
from stack.prediction_log import readable
from stack.prediction_log.readable import Read
from stack.publishing import messages, outbox
from stack.specification import forecasts, tasks
from stack.specification.fields import Datetime
from stack.specification.specs import ProjectSpec

TIME = "event_timestamp"
"""What a frame calls the instant that a row was asked at; the table calls it ``asked_at``."""
SHADOW = "_shadow"
"""After the names of outputs that are a shadow's."""
TIMES = [TIME, "answered_at", "features_at", "label_at"]
HASH = 32
"""Characters of the hash at the end of an event's key; the keys of early releases have nothing before it."""
INSTANTS = ("asked_at", "answered_at", "features_at")
"""Of a prediction, which the table has in UTC."""
SPREAD = ("answer", "request", "features")
"""Columns of JSON, whose fields are columns of a frame."""
SET_LABEL = update(predictions).values(label=bindparam("new_label"), label_at=bindparam("known_at"))


class Prediction(NamedTuple):
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
    reasons: Mapping[str, Any] | None = None
    """Of the answer, where they were asked for: ``base``, ``unit`` and ``contributions`` by feature."""


COLUMNS = {
    column.name: as_text(column).label(TIME if column.name == "asked_at" else column.name)
    for column in predictions.c
    if column.name not in ("project", "reasons")
}


class PredictionLog:
    """The predictions of a project, and what its challengers would have answered."""

    def __init__(self, database: str, spec: ProjectSpec) -> None:
        self._database, self.spec, self._task = database, spec, tasks.of(spec)
        self._interval = [*dict.fromkeys([*self._task.ends, tasks.CORRECTION])] if self._task.ends else []

    def write(self, answered: Sequence[Prediction], *, scheduled: bool = False) -> None:
        """Write predictions in one commit, on the disk when this returns; of an id the first one is kept.

        In the same commit new ones enter the outbox of the sinks that want them: all answers, or `scheduled` ones.
        """
        rows = [*{answer.id: _row(self.spec, answer) for answer in reversed(answered)}.values()][::-1]
        sinks = [sink for sink in self.spec.publish if scheduled or sink.when == "each"]
        if not rows:
            return
        with engine(self._database).begin() as connection:
            if not sinks:
                insert_new(connection, predictions, rows)
                return
            ids = {*connection.execute(insert_new_returning(connection, predictions.c.id), rows).scalars()}
            new = messages.messages(self.spec, [row for row in rows if row["id"] in ids])
            whole, now = messages.whole(self.spec, new), answered[0].answered_at.astimezone(UTC)
            for sink in sinks:
                outbox.add(connection, self.spec.name, sink.name, whole if sink.whole_forecasts else new, now)

    def read(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the predictions asked in (since, until], in the order they were asked.

        Returns:
            The columns of the log, with ``event_timestamp`` for ``asked_at``; `request` and `features` spread into a
            column a field, `answer` into those of :attr:`Task.answer_dtypes`, instants as ``datetime64[us, UTC]``,
            `label` encoded, as float64 (NaN until it is known). The ends of an interval that an answer lacks are NaN.
            A feature named as a request field wins. Rows that cannot be read are left out; ``attrs["unreadable"]`` is
            their number.
        """
        return self._readable(self._asked([*COLUMNS.values()], since, until), self._frame)

    def ids(self, since: datetime, until: datetime) -> set[str]:
        """Return the ids of the predictions asked in (since, until]."""
        with engine(self._database).connect() as connection:
            return set(connection.execute(self._asked([predictions.c.id], since, until)).scalars())

    def reasons(self, since: datetime, until: datetime) -> dict[str, dict[str, Any]]:
        """Return the reasons that were logged with predictions asked in (since, until], by id."""
        column = predictions.c.reasons
        query = self._asked([predictions.c.id, column], since, until).where(column.is_not(null()))
        with engine(self._database).connect() as connection:
            return {str(name): reasons for name, reasons in connection.execute(query)}

    def is_empty(self) -> bool:
        """Return whether the project has answered nothing yet."""
        query = select(predictions.c.id).where(predictions.c.project == self.spec.name).limit(1)
        with engine(self._database).connect() as connection:
            return connection.execute(query).first() is None

    def asked_at(self, ids: Collection[str]) -> dict[str, pd.Timestamp]:
        """Return the instants at which predictions were asked, by id; NaT where it cannot be read."""
        query = select(predictions.c.id, COLUMNS["asked_at"])
        with engine(self._database).connect() as connection:
            rows = connection.execute(query.where(predictions.c.project == self.spec.name, predictions.c.id.in_(ids)))
            names, instants = list(zip(*rows, strict=True)) or ((), ())
        return dict(zip(names, pd.to_datetime(instants, utc=True, format="ISO8601", errors="coerce"), strict=True))

    def outcomes(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the labelled predictions asked in (since, until], without their features.

        Returns:
            ``event_timestamp`` (datetime64[us, UTC]), ``model_version``, the outputs of the project's task, the ends of
            intervals with the correction in them, and ``label``, ordered by ``event_timestamp``.
        """
        columns = [COLUMNS[name] for name in ("asked_at", "model_version", "answer", "label")]
        query = self._asked(columns, since, until).where(predictions.c.label.is_not(None))
        names = [TIME, "model_version", *self._interval, *self._task.outputs, "label"]

        def frame(rows: Sequence[RowMapping]) -> pd.DataFrame:
            outcomes = pd.DataFrame(map(self._values, rows), columns=names)
            outcomes[TIME] = Datetime().from_log(outcomes[TIME])
            outcomes = outcomes.astype(dict.fromkeys(names[2:], "float64"))
            readable.require_finite(outcomes[[*self._task.outputs, "label"]])
            return outcomes

        return self._readable(query, frame)

    def label_events(self, labels: pd.DataFrame) -> int:
        """Write the labels of every prediction about these events; return the number of predictions.

        An earlier label is replaced. The columns are the request fields, `label` (encoded) and `label_at`, the instant
        it was known.
        """
        rows = [
            {
                "key": (key := event_key(self.spec, {str(name): value for name, value in row.items()})),
                "early_key": key[-HASH:],
                "new_label": float(row["label"]),
                "known_at": row["label_at"].to_pydatetime().astimezone(UTC),
            }
            for row in labels.to_dict("records")
        ]
        if not rows:
            return 0
        keys: list[Any] = [bindparam("key"), bindparam("early_key")]
        is_event = predictions.c.project == self.spec.name, predictions.c.event_key.in_(keys)
        with engine(self._database).begin() as connection:
            return connection.execute(SET_LABEL.where(*is_event), rows).rowcount

    def label_predictions(self, labels: Mapping[str, tuple[float, datetime]]) -> set[str]:
        """Write labels by prediction id; the same label again changes nothing, not even ``label_at``.

        Args:
            labels: id -> encoded label, and the instant on the project's clock when it was known.

        Returns:
            The ids that are in the log of this project.
        """
        id_, label = predictions.c.id, predictions.c.label
        logged = select(id_).where(predictions.c.project == self.spec.name, id_.in_(labels))
        is_new = or_(label.is_(None), label != bindparam("new_label"))
        with engine(self._database).begin() as connection:
            ids = set(connection.execute(logged).scalars())
            rows = [
                {"key": key, "new_label": labels[key][0], "known_at": labels[key][1].astimezone(UTC)} for key in ids
            ]
            if rows:
                connection.execute(SET_LABEL.where(id_ == bindparam("key"), is_new), rows)
        return ids

    def write_shadows(
        self, version: str, answered: Sequence[Prediction], answers: np.ndarray, threshold: float
    ) -> None:
        """Write a challenger's answers, (n, outputs), to the champion's predictions; the same again changes nothing."""
        row = {"model_version": version, "project": self.spec.name}
        replies = [self._task.reply(answer, threshold) for answer in answers]
        pairs = zip(answered, replies, strict=True)
        rows = [row | {"id": prediction.id, "answer": reply} for prediction, reply in pairs]
        with engine(self._database).begin() as connection:
            insert_new(connection, shadows, rows)

    def read_shadows(self, since: datetime, until: datetime, most: int | None = None) -> pd.DataFrame:
        """Read the predictions asked in (since, until] that a challenger has answers to, the newest first.

        Args:
            most: rows that are read at most; all when omitted.

        Returns:
            ``id``, ``event_timestamp`` (datetime64[us, UTC]), ``model_version``, the outputs of the project's task,
            ``label`` (encoded; NaN until it is known), ``shadow_version``, and its outputs, with `SHADOW`; a row for
            each challenger.
        """
        columns = [COLUMNS[name] for name in ("id", "asked_at", "model_version", "answer", "label")]
        shadow = shadows.c.model_version.label("shadow_version"), as_text(shadows.c.answer).label("shadow_answer")
        query = self._asked([*columns, *shadow], since, until).where(shadows.c.id == predictions.c.id)
        query = query.order_by(None).order_by(predictions.c.asked_at.desc(), predictions.c.id).limit(most)
        pairs = {output: f"{output}{SHADOW}" for output in self._task.outputs}

        def values(row: RowMapping) -> dict[str, Any]:
            shadowed = self._task.columns(from_json(row["shadow_answer"]))
            return self._values(row) | {pairs[output]: shadowed.get(output) for output in pairs}

        def frame(rows: Sequence[RowMapping]) -> pd.DataFrame:
            names = ["id", TIME, "model_version", *pairs, "label", "shadow_version", *pairs.values()]
            answers = pd.DataFrame(map(values, rows), columns=names)
            answers[TIME] = Datetime().from_log(answers[TIME])
            answers = answers.astype(dict.fromkeys([*pairs, "label", *pairs.values()], "float64"))
            readable.require_finite(answers[[*pairs, *pairs.values()]])
            return answers

        return self._readable(query, frame)

    def _values(self, row: RowMapping) -> dict[str, Any]:
        """Return the columns of a stored row, those of JSON spread into their fields; the later ones win."""
        values = {name: value for name, value in row.items() if name not in SPREAD}
        for name in SPREAD:
            if name in row:
                fields_of = from_json(row[name])
                values = values | (self._task.columns(fields_of) if name == "answer" else fields_of)
        return values

    def _frame(self, rows: Sequence[RowMapping]) -> pd.DataFrame:
        """Return stored rows as :meth:`read` describes them."""
        spec, answer_dtypes = self.spec, self._task.answer_dtypes
        names = ["id", TIME, "answered_at", "event_key", "features_at", "model_version", *answer_dtypes, "label"]
        names += [*self._interval, "label_at", *spec.request, *spec.features.columns]
        frame = pd.DataFrame(map(self._values, rows), columns=list(dict.fromkeys(names)))
        for column in TIMES:
            frame[column] = Datetime().from_log(frame[column])
        for column, field in spec.request.items():
            frame[column] = field.field_type.from_log(frame[column])
        numbers = dict.fromkeys(spec.column_types("number"), "Float32")
        frame = frame.astype(numbers)
        readable.require_finite(frame[[*numbers]].fillna(0))
        categories = dict.fromkeys(spec.column_types("category", "text"), object)
        if frame[[name for name in answer_dtypes if name not in self._task.ends]].isna().any(axis=None):
            raise ValueError("found a row without an answer")
        frame = frame.astype(dict.fromkeys(["label", *self._interval], "float64") | {**answer_dtypes, **categories})
        readable.require_finite(frame[[*self._task.outputs]])
        readable.require_finite(frame[["label"]].dropna())
        return frame

    def _readable(self, query: Select[Any], read: Read) -> pd.DataFrame:
        """Return the frame of the rows that can be read, with the number of the others in ``attrs["unreadable"]``."""
        with engine(self._database).connect() as connection:
            return readable.frame(connection.execute(query).mappings().all(), read, self.spec.name)

    def _asked(self, columns: Sequence[Any], since: datetime, until: datetime) -> Select[Any]:
        """Select columns of the project's predictions asked in (since, until], in the order they were asked."""
        asked_at, window = predictions.c.asked_at, (since.astimezone(UTC), until.astimezone(UTC))
        conditions = predictions.c.project == self.spec.name, asked_at > window[0], asked_at <= window[1]
        return select(*columns).where(*conditions).order_by(asked_at, predictions.c.id)


def event_key(spec: ProjectSpec, request: Mapping[str, Any]) -> str:
    """Return the key of the event that a request asks about: a hash of its fields in project.yaml's order.

    What a forecast is made from, as another forecast of the weather, is no part of the event. The hour of the first
    instant comes before the hash: keys that are all over the index make a commit of 1,000 rows three times as long.
    """
    inputs = forecasts.inputs(spec) if spec.forecast else ()
    asked = [_in_utc(request[field]) for field in spec.request if field not in inputs]
    instant = next((value for value in asked if isinstance(value, datetime) and not pd.isna(value)), None)
    hour = f"{int(instant.timestamp()) // 3600:x}" if instant else ""
    return hour + blake2b(to_json(asked, inf_nan_mode="null"), digest_size=HASH // 2).hexdigest()


def _row(spec: ProjectSpec, prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as a row of the table."""
    request = {name: _in_utc(value) for name, value in prediction.request.items()}
    key, instants = event_key(spec, request), {name: _in_utc(getattr(prediction, name)) for name in INSTANTS}
    return {**prediction._asdict(), **instants, "project": spec.name, "event_key": key, "request": request}


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
