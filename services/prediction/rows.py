"""Pushed rows: each is typed as the columns of its project are, and on the disk before it is acknowledged."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError, WithJsonSchema, create_model
from pydantic_core import to_json

from services.prediction.schema import STRICT, Body, body_model, describe, findings, pydantic_field, title
from stack.project import Project
from stack.sources import push
from stack.specification import table
from stack.specification.fields import TYPES
from stack.specification.request import RequestField
from stack.specification.sources import Push
from stack.specification.specs import ProjectSpec
from stack.validation import quarantine

MISTAKES = 3
"""Told of a row at most."""


class Refusal(BaseModel):
    """Why a row was refused; it is in quarantine."""

    row: int = Field(description="Its position in the request, from 0")
    field: str = Field(description="Column; empty where the row as a whole is wrong")
    found: str
    expected: str


class RowsResult(BaseModel):
    """What became of pushed rows."""

    accepted: int = Field(description="Rows that are on the disk, and in the lake after the next ingest")
    refused: list[Refusal]


def takes_rows(spec: ProjectSpec) -> bool:
    """Return whether rows are pushed to a project."""
    return isinstance(spec.source, Push) and not spec.has("source")


def rows_model(spec: ProjectSpec) -> type[Body]:
    """Return the model of a body of rows, ``{"rows": [...]}``, which are checked one by one."""
    columns = fields(spec)
    row = Annotated[dict[str, Any], WithJsonSchema(row_model(spec).model_json_schema())]
    body = {"rows": [{name: column.example for name, column in columns.items()}]}
    expected = {name: describe(column) for name, column in columns.items()}
    return body_model(spec, "Pushed", row, body, expected, "; wrong ones are refused, the others are kept")


def row_model(spec: ProjectSpec) -> type[BaseModel]:
    """Return the model of a row: all columns, by their names in project.yaml."""
    columns = enumerate(fields(spec).items())  # any name may be a column's, but not an attribute's
    typed: Any = {f"column_{number}": pydantic_field(column, name) for number, (name, column) in columns}
    return create_model(f"{title(spec)}PushedRow", __config__=STRICT, __doc__=f"A row: {spec.title}", **typed)


def fields(spec: ProjectSpec) -> dict[str, RequestField]:
    """Return the columns as fields of a request; those of the key are never missing."""
    key = spec.tables[table.ROWS].key
    written = {name: table.field(name, column) for name, column in spec.columns.items()}
    for name, field in written.items():
        field["nullable"] &= name not in key
        if field["example"] is None:
            field["example"] = TYPES[field["type"]].sample
    return {name: RequestField(**field) for name, field in written.items()}


class Receiver:
    """Checks and keeps the rows of a project."""

    def __init__(self, project: Project) -> None:
        self.project, self.body, self.row = project, rows_model(project.spec), row_model(project.spec)

    def keep(self, rows: Sequence[dict[str, Any]]) -> list[list[Refusal]]:
        """Keep the rows that are right, in one commit, and put the others into quarantine; return what is wrong."""
        settings, name, right, wrong = self.project.settings, self.project.name, [], []
        results: list[list[Refusal]] = []
        for row in rows:
            try:
                right.append(self.row.model_validate_json(to_json(row, inf_nan_mode="constants")))
                results.append([])
            except ValidationError as error:
                results.append(self._refusals(error))
                wrong.append({"row": row, "refused": [refusal.model_dump(exclude={"row"}) for refusal in results[-1]]})
        if right:
            push.keep(settings, name, [row.model_dump_json(by_alias=True).encode() for row in right])
        if wrong:
            quarantine.keep_pushed(settings, name, wrong, datetime.now(UTC))
        return results

    def _refusals(self, error: ValidationError) -> list[Refusal]:
        return [
            Refusal(row=0, field=str(mistake["loc"][2]), found=found, expected=expected)
            for mistake, found, expected in list(findings(self.body, error, ("rows", 0)))[:MISTAKES]
        ]


def result(rows: Sequence[list[Refusal]]) -> RowsResult:
    """Return the answer to a request, of what is wrong with each row."""
    refused = [refusal.model_copy(update={"row": at}) for at, wrong in enumerate(rows) for refusal in wrong]
    return RowsResult(accepted=sum(not wrong for wrong in rows), refused=refused)
