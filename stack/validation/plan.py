"""Which frames of a batch are validated against which expectations: the project's own, and those of its delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import great_expectations.expectations as gxe
import pandas as pd

from stack.project import Project
from stack.specification.specs import Table

Tables = Mapping[str, pd.DataFrame]
Suites = dict[str, list[Any]]


@dataclass(frozen=True)
class Batch:
    """The rows that became known in a window, and the accepted ones before it."""

    tables: Tables
    history: Tables
    since: datetime
    until: datetime


@dataclass(frozen=True)
class Plan:
    """Frames, and the expectations of each."""

    frames: dict[str, pd.DataFrame]
    suites: Suites
    whole: bool = True
    """False where the batch is so broken that only a part can be checked."""


def make(project: Project, batch: Batch) -> Plan:
    """Choose frames and expectations; where columns are missing, nothing else can be checked."""
    checks, tables = project.checks, project.spec.tables
    needed = {name: {*checks.COLUMNS.get(name, ()), *table.key, table.available_at} for name, table in tables.items()}
    columns: Suites = {name: [_has(sorted(needed[name]))] for name in tables}
    if any(needed[name] - set(batch.tables[name].columns) for name in tables):
        return Plan(dict(batch.tables), columns, whole=False)
    try:
        frames = checks.prepare(batch.tables, batch.history, batch.since, batch.until)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        return _not_computable(error)
    suites: Suites = checks.suites()
    for name, table in tables.items():
        frames[name] = frames[name].assign(**_deliveries(table, batch, name))
        suites[name] = columns[name] + _delivery(table) + suites.get(name, [])
    return Plan(frames, suites)


def _has(columns: list[str]) -> Any:
    return gxe.ExpectTableColumnsToMatchSet(
        column_set=columns, exact_match=False, description=f"the columns {', '.join(columns)}"
    )


def _deliveries(table: Table, batch: Batch, name: str) -> dict[str, Any]:
    """Return columns that name what is wrong with the delivery of each row; null where it is right."""
    rows, known_at = batch.tables[name], batch.tables[name][table.available_at]
    keys = pd.MultiIndex.from_frame(rows[table.key])
    names = pd.Series(["-".join(map(str, key)) for key in keys], index=rows.index, dtype=object)
    before = batch.history.get(name, rows)[table.key].iloc[: None if name in batch.history else 0]
    outside = ~((known_at > pd.Timestamp(batch.since)) & (known_at <= pd.Timestamp(batch.until)))
    return {
        "without_key": names.where(rows[table.key].isna().any(axis=1), None),
        "outside_window": known_at.astype(str).where(outside, None),
        "delivered_before": names.where(keys.isin(pd.MultiIndex.from_frame(before)), None),
    }


def _delivery(table: Table) -> list[Any]:
    """Expect rows that are of the window, once each, and new."""
    key = ", ".join(table.key)
    once = f"one row of each {key}"
    return [
        gxe.ExpectColumnValuesToBeNull(column="without_key", description=f"{key} in every row"),
        gxe.ExpectColumnValuesToBeNull(column="outside_window", description=f"{table.available_at} in the window"),
        _new_rows(table),
        gxe.ExpectColumnValuesToBeUnique(column=table.key[0], description=once)
        if len(table.key) == 1
        else gxe.ExpectCompoundColumnsToBeUnique(column_list=table.key, description=once),
    ]


def _new_rows(table: Table) -> Any:
    """Expect new keys: a known one is a mistake, or, of a source that gives the whole table, a corrected row."""
    if table.snapshot:
        description = "no other values for known rows; from now on the new ones count"
        return gxe.ExpectColumnValuesToBeNull(column="delivered_before", description=description, severity="warning")
    return gxe.ExpectColumnValuesToBeNull(column="delivered_before", description="rows not delivered before")


def _not_computable(error: Exception) -> Plan:
    """Refuse a batch that the checks cannot compute with, such as one whose numbers are text."""
    frame = pd.DataFrame({"computable": [f"{type(error).__name__}: {error}"]})
    description = "columns of the types that the project's source gives"
    suite = [gxe.ExpectColumnValuesToBeNull(column="computable", description=description)]
    return Plan({"checks": frame}, {"checks": suite}, whole=False)
