"""The rows of a file that is scored, and how one part of them is: checked, joined with features, answered."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas import DataFrame

from stack.core.errors import StackError, nearest
from stack.serving import chunks
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.specification.fields import Datetime
from stack.specification.specs import ProjectSpec

TYPES = {"float64": pa.float64(), "bool": pa.bool_(), "object": pa.string()}
"""dtype of an answer's column in a frame -> its type in a file."""


@dataclass(frozen=True)
class Rows:
    """The rows of a file to be scored."""

    spec: ProjectSpec
    source: Path
    now: datetime
    """The instant of rows without a column ``asked_at``."""

    @property
    def is_csv(self) -> bool:
        """Whether the rows can only be read from the first to the last."""
        return not self.source.is_dir() and self.source.suffix != ".parquet"

    def read(self) -> Iterator[tuple[pa.Table, float]]:
        """Yield the rows chunk by chunk, each with the share of all that has been read."""
        if self.is_csv:
            fields = self.spec.request.items()
            yield from chunks.csv(
                self.source, {name: field.field_type.dtype_of_file(nullable=field.nullable) for name, field in fields}
            )
            return
        parts = chunks.parts(self.source)
        for part, share in zip(parts, shares(parts), strict=True):
            yield chunks.load(part), share

    def events(self, table: pa.Table) -> tuple[DataFrame, list[str]]:
        """Check the request fields of some rows; return them with each row's ``event_timestamp``.

        Also return the names of the columns that differ from those of the file.
        """
        for name, field in self.spec.request.items():
            if name not in table.column_names:
                source = self.spec.columns[name].source if name in self.spec.columns else ""
                raise StackError(
                    f"{self.source}, column {name}",
                    found=f"no such column{nearest(name, table.column_names)}",
                    expected=f"{field.description} ({field.type}), like {field.example!r}",
                    todo=f"rename {source!r} to {name}" if source in table.column_names else "add the column",
                )
        timed = ["asked_at"] if "asked_at" in table.column_names else []
        frame, changed = table.select([*self.spec.request, *timed]).to_pandas(ignore_metadata=True), []
        for name, field in self.spec.request.items():
            read = frame[name]
            frame[name] = values = field.field_type.from_file(read, f"{self.source}, column {name}")
            changed += [name] if values is not read else []
        frame["event_timestamp"] = pd.Timestamp(self.now).as_unit("us")
        if timed:
            at = frame.pop("asked_at")
            frame["event_timestamp"] = Datetime().from_file(at, f"{self.source}, column asked_at")
        return frame, [*changed, "event_timestamp"]


def shares(parts: list[chunks.Part]) -> list[float]:
    """Return the share of all rows that are in a part or before it, of each."""
    total = parts[-1].before + parts[-1].rows
    return [(part.before + part.rows) / total if total else 1.0 for part in parts]


@dataclass(frozen=True)
class Scorer:
    """Adds features and predictions to rows of a file, with a model and a feature store that stay open."""

    rows: Rows
    join: Callable[[DataFrame], dict[str, np.ndarray[Any, Any]]]
    """Returns the feature columns of events."""
    model: ServedModel
    version: str

    def scored(self) -> Iterator[tuple[pa.Table, float]]:
        """Yield the scored rows chunk by chunk, each with the share of all that has been read."""
        before = 0
        for table, share in self.rows.read():
            yield self.score(table, before), share
            before += len(table)

    def score(self, table: pa.Table, before: int) -> pa.Table:
        """Return rows with ``event_timestamp``, ``event_id``, features and predictions.

        Args:
            before: rows of the file before these; ``event_id`` goes on from it.
        """
        task = tasks.of(self.rows.spec)
        events, changed = self.rows.events(table)
        joined = self.join(events)
        answers = task.frame(self.model.answer(joined), self.model.threshold)
        columns = {name: table[name] for name in table.column_names if name != "asked_at" and name not in joined}
        columns |= {name: pa.array(events[name], from_pandas=True) for name in changed if name not in joined}
        columns["event_id"] = pa.array(np.arange(before, before + len(table)))
        for name, values in joined.items():
            columns[name] = pa.array(values, pa.float32() if values.dtype != object else pa.string(), from_pandas=True)
        for name, values in answers.items():
            columns[name] = pa.array(values, TYPES[task.answer_dtypes.get(name, "float64")], from_pandas=True)
        columns["model_version"] = pa.array([self.version] * len(table), pa.string())
        return pa.table(columns)
