"""Which frames of a batch are validated against which expectations: the project's own, and those of its delivery."""

from datetime import datetime
from typing import Any, NamedTuple

import great_expectations.expectations as gxe
import numpy as np
import numpy.typing as npt
import pandas as pd

from stack.project import Project
from stack.project.contract import Tables
from stack.specification.sections import Table

Suites = dict[str, list[Any]]


class Plan(NamedTuple):
    """Frames, and the expectations of each."""

    frames: dict[str, pd.DataFrame]
    suites: Suites
    whole: bool = True
    """False where the batch is so broken that only a part can be checked."""


def make(project: Project, batch: Tables, history: Tables, since: datetime, until: datetime) -> Plan:
    """Choose frames and expectations for the rows of (since, until] and the accepted ones before them.

    Where columns are missing, nothing else can be checked.
    """
    checks, tables = project.checks, project.spec.tables
    needed = {name: {*checks.COLUMNS.get(name, ()), *table.key, table.available_at} for name, table in tables.items()}
    columns: Suites = {name: [_has_columns(sorted(needed[name]))] for name in tables}
    if any(needed[name] - set(batch[name].columns) for name in tables):
        return Plan(dict(batch), columns, whole=False)
    try:
        frames = checks.prepare(batch, history, since, until)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # The checks cannot compute with it: its numbers are text, or the like.
        frame = pd.DataFrame({"computable": [f"{type(error).__name__}: {error}"]})
        suite = [_null("computable", "columns of the types that the project's source gives")]
        return Plan({"checks": frame}, {"checks": suite}, whole=False)
    suites: Suites = checks.suites()
    for name, table in tables.items():
        delivery = _delivery(table, batch[name], history.get(name), since, until)
        frames[name] = frames[name].assign(**delivery)
        suites[name] = columns[name] + _delivery_suite(table) + suites.get(name, [])
    return Plan(frames, suites)


def _delivery(
    table: Table, rows: pd.DataFrame, history: pd.DataFrame | None, since: datetime, until: datetime
) -> dict[str, Any]:
    """Return columns that name what is wrong with the delivery of each row; null where it is right."""
    known_at = rows[table.available_at]
    before = rows[table.key].iloc[:0] if history is None else history[table.key]
    repeated = pd.MultiIndex.from_frame(rows[table.key]).isin(pd.MultiIndex.from_frame(before))
    outside = ~((known_at > pd.Timestamp(since)) & (known_at <= pd.Timestamp(until)))
    return {
        "without_key": _names(rows[table.key], rows[table.key].isna().any(axis=1).to_numpy()),
        "outside_window": _names(rows[[table.available_at]], outside.to_numpy()),
        "delivered_before": _names(rows[table.key], repeated),
    }


def _names(columns: pd.DataFrame, wrong: npt.NDArray[np.bool_]) -> pd.Series:
    """Return the values of the rows that are wrong as text, and null for the others."""
    names = pd.Series(None, index=columns.index, dtype=object)
    names[wrong] = ["-".join(map(str, row)) for row in columns[wrong].itertuples(index=False)]
    return names


def _delivery_suite(table: Table) -> list[Any]:
    """Expect rows that are of the window, once each, and new, unless known ones may be corrected."""
    key = ", ".join(table.key)
    once = f"one row of each {key}"
    return [
        _null("without_key", f"{key} in every row"),
        _null("outside_window", f"{table.available_at} in the window"),
        _null("delivered_before", "no other values for known rows; from now on the new ones count", severity="warning")
        if table.identity != table.key
        else _null("delivered_before", "rows not delivered before"),
        gxe.ExpectColumnValuesToBeUnique(column=table.key[0], description=once)
        if len(table.key) == 1
        else gxe.ExpectCompoundColumnsToBeUnique(column_list=table.key, description=once),
    ]


def _has_columns(columns: list[str]) -> Any:
    description = f"the columns {', '.join(columns)}"
    return gxe.ExpectTableColumnsToMatchSet(column_set=columns, exact_match=False, description=description)


def _null(column: str, description: str, **options: Any) -> Any:
    return gxe.ExpectColumnValuesToBeNull(column=column, description=description, **options)
