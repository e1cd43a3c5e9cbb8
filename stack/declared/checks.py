"""The checks that project.yaml declares: types, ranges, known values and shares of missing ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pandas import DataFrame, Series

from stack.specification import frames, tasks
from stack.specification.fields import TYPES
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROWS

UNREADABLE = "unreadable"
"""Column of a batch while it is checked: what could not be read as its type."""


@dataclass(frozen=True)
class DeclaredChecks:
    """The expectations of a batch; what ``checks.py`` is to a project with Python files."""

    spec: ProjectSpec
    HISTORY: timedelta = timedelta(0)
    """Nothing is compared with earlier rows."""

    @property
    def COLUMNS(self) -> Mapping[str, Sequence[str]]:  # noqa: N802  # a constant of the protocol
        """The columns of the table."""
        return {ROWS: list(self.spec.columns)}

    def prepare(
        self, tables: Mapping[str, DataFrame], history: Mapping[str, DataFrame], since: datetime, until: datetime
    ) -> dict[str, DataFrame]:
        """Return the batch, with the values that could not be read as their type in a column of their own."""
        rows, texts = tables[ROWS], Series(None, index=tables[ROWS].index, dtype=object)
        columns = {}
        for name, wrong in unreadable(self.spec, rows).items():
            texts = texts.where(~wrong, f"{name}: " + rows[name].astype(str))
            columns[name] = rows[name].where(~wrong, None).infer_objects()
        return {ROWS: frames.with_columns(rows, columns | {UNREADABLE: texts})}

    def suites(self) -> dict[str, list[Any]]:
        """Return the expectations of the columns."""
        return {ROWS: list(self._expectations())}

    def _expectations(self) -> Iterator[Any]:
        from stack.kit.expectations import absent, among, between, present

        key, task = self.spec.tables[ROWS].key, tasks.of(self.spec)
        yield absent(UNREADABLE, "values of the types in project.yaml")
        for name, column in self.spec.columns.items():
            if name not in key:  # of which no row may lack a value in any case
                yield present(name, missing=column.missing)
            if name == self.spec.label and task.classes:
                yield among(name, task.classes, strictly=True)
            elif column.values:
                yield among(name, column.values)
            if column.between:
                yield between(name, *column.between)


def unreadable(spec: ProjectSpec, rows: DataFrame) -> dict[str, Series]:
    """Return, of the columns that may hold values of another type than project.yaml says, which rows do."""
    kinds = {name: TYPES[column.type] for name, column in spec.columns.items()}
    mixed = {name: kind.accepted for name, kind in kinds.items() if kind.python is not str}
    return {
        name: rows[name].notna() & ~rows[name].map(lambda value, kind=accepted: isinstance(value, kind))
        for name, accepted in mixed.items()
        if rows[name].dtype == object
    }


def of(spec: ProjectSpec) -> DeclaredChecks:
    """Return the checks that a specification declares."""
    return DeclaredChecks(spec)
