"""Rows that programs push: the prediction service checks and keeps them, a read takes them from the project's inbox."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pandas as pd

from stack.core.database import engine, in_utc
from stack.core.settings import Settings, settings
from stack.sources import AVAILABLE_AT, Query, inbox
from stack.specification.sources import Push

KEPT = timedelta(days=1)
"""Rows stay so long after they have entered the lake, for scheduled predictions of late ones."""


def read(source: Push, folder: Path, query: Query) -> pd.DataFrame:
    """Return the rows that came in the window, in that order, each known from then on; those of the past are apart."""
    found = inbox.read(settings(), folder.name, query.since, query.until)
    rows = pd.DataFrame([json.loads(row.payload) for row in found], columns=query.columns, dtype=object)
    known = pd.to_datetime([in_utc(row.received_at) for row in found], utc=True)
    return rows.assign(**{AVAILABLE_AT: known})


def ingested(source: Push, folder: Path, query: Query) -> None:
    """Delete the rows that the lake has had for a day."""
    inbox.mark_ingested(settings(), folder.name, query.until, KEPT)


def keep(of: Settings, project: str, rows: Sequence[bytes]) -> None:
    """Write rows, each a JSON object, in one commit; they are on the disk when this returns."""
    written = [{"topic": "", "payload": row, "packet": 0} for row in rows]
    with engine(of.state_database).begin() as connection:
        inbox.add(of, connection, project, written)
