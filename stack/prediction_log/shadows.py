"""The shadow log: what a challenger would have answered to the requests that the champion answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from stack.core.database import engine, shadows
from stack.prediction_log import predictions
from stack.prediction_log.predictions import Prediction, PredictionLog
from stack.specification import tasks


class ShadowLog:
    """What challengers would have answered to the requests of a project.

    Args:
        database: SQLAlchemy URL of the state database.
        log: the project's predictions.
    """

    def __init__(self, database: str, log: PredictionLog) -> None:
        self._database, self._log = database, log

    def write(self, version: str, answered: Sequence[Prediction], answers: np.ndarray) -> None:
        """Note a version's answers, (n, outputs), beside each answered prediction; the same again changes nothing."""
        spec = self._log.spec
        reply = tasks.of(spec).reply
        rows = [
            {"id": one.id, "model_version": version, "project": spec.name, "answer": reply(answer, spec.threshold)}
            for one, answer in zip(answered, answers, strict=True)
        ]
        with engine(self._database).begin() as connection:
            insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
            connection.execute(insert(shadows).on_conflict_do_nothing(), rows)

    def read(self, since: datetime, until: datetime) -> pd.DataFrame:
        """Read the predictions asked in (since, until] that a challenger answered too.

        Returns:
            The prediction log's columns, with ``shadow_version`` and the answer's columns after ``shadow_``; a row for
            each challenger.
        """
        spec = self._log.spec
        query = select(shadows.c.id, shadows.c.model_version, shadows.c.answer).where(shadows.c.project == spec.name)
        with engine(self._database).connect() as connection:
            rows = [
                {"id": row.id, "shadow_version": row.model_version}
                | {f"shadow_{name}": value for name, value in predictions.answered(row.answer).items()}
                for row in connection.execute(query)
            ]
        outputs = [f"shadow_{name}" for name in tasks.of(spec).outputs]
        found = pd.DataFrame(rows, columns=None if rows else ["id", "shadow_version", *outputs])
        return self._log.read(since, until).merge(found, on="id")
