"""The columns of a project whose model another tool has made: of which input each is, and rows of them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd
from pandas import DataFrame

from stack.authoring.imported.graph import Tensor
from stack.authoring.scaffold.columns import identifiers
from stack.authoring.scaffold.files import Source
from stack.core.errors import StackError
from stack.declared.source import READERS
from stack.specification.fields import TYPES
from stack.specification.specs import ProjectSpec

FIELDS = {
    "float": "number",
    "double": "number",
    "int64": "integer",
    "int32": "integer",
    "bool": "boolean",
    "string": "string",
}
"""Type of an input -> the type of a request field."""
KNOWN = 50
"""Texts that a field lists as known at most."""


@dataclass(frozen=True)
class Wishes:
    """What a user says of a model; empty where it is left out."""

    example: Path | None = None
    """JSON object with the values of a row, by the names of the columns."""
    sample: Path | None = None
    """Table with rows of the columns, and perhaps the outcome."""
    label: str = ""
    """Name of the outcome."""
    task: str = ""
    classes: str = ""
    output: str = ""


@dataclass(frozen=True)
class Column:
    """A column of an input."""

    name: str
    """In the project."""
    source: str
    """In the rows and the model."""
    input: Tensor

    @property
    def kind(self) -> str:
        """How the model reads it."""
        return "category" if self.input.type == "string" else "number"


def known(spec: ProjectSpec) -> dict[str, str]:
    """Return the names of the feature columns of a project, by their names in the model."""
    return {spec.columns[name].source or name: name for name in spec.columns if name in spec.features.columns}


def read_rows(wishes: Wishes) -> tuple[DataFrame | None, DataFrame | None]:
    """Return the rows of SAMPLE, and the one of EXAMPLE: of the sample the first without a gap, if there is one."""
    sample = example = None
    if wishes.sample:
        try:
            sample = Source.of(wishes.sample).read(wishes.sample)
        except StackError as error:
            where = error.where.replace("FROM", "SAMPLE", 1)
            raise StackError(where, found=error.found, expected=error.expected, todo=error.todo) from None
        whole = sample.dropna()
        example = (whole if len(whole) else sample).head(1)
    if wishes.example:
        try:
            values = json.loads(wishes.example.read_text())
        except (OSError, ValueError) as error:
            raise StackError(f"EXAMPLE={wishes.example}", found=str(error), expected="a JSON object") from None
        if not isinstance(values, dict):
            found, expected = type(values).__name__, 'an object with a value a column, like {"age": 41}'
            raise StackError(f"EXAMPLE={wishes.example}", found=found, expected=expected)
        example = DataFrame([values])
    return sample, example


def assigned(inputs: Sequence[Tensor], given: Sequence[str] | None, names: Mapping[str, str]) -> list[Column]:
    """Return the columns of all inputs, in order.

    An input of one column takes the given column of its name; the others take the rest in the order they are given.

    Args:
        inputs: of the model.
        given: names of columns, from rows, a signature or the project; without any, the inputs name them.
        names: of the columns in the project, by the given ones; made when it is empty.
    """
    named = {_letters(name): name for name in given or ()}
    single = {tensor.name: named.get(_letters(tensor.name)) for tensor in inputs if tensor.width == 1}
    rest = [name for name in given or () if name not in single.values()]
    unnamed = [name for name, column in single.items() if column is None]
    sources: list[list[str]] = []
    for tensor in inputs:
        width = tensor.width or len(rest)
        if given is None:
            sources.append([tensor.name] if width == 1 else [f"{tensor.name}_{at}" for at in range(width)])
        elif column := single.get(tensor.name):
            sources.append([column])
        else:
            sources.append(rest[:width])
            rest = rest[width:]
    packed = any(tensor.name not in single for tensor in inputs) or bool(unnamed)
    short = any(len(own) < (tensor.width or 1) for tensor, own in zip(inputs, sources, strict=True))
    if short or (given is not None and (len(unnamed) > 1 or (packed and rest))):
        raise _unclear(inputs, given)
    plain = [*chain.from_iterable(sources)]
    called = names or dict(zip(plain, identifiers(plain), strict=True))
    places = [tensor for tensor, own in zip(inputs, sources, strict=True) for _ in own]
    return [Column(called[source], source, tensor) for source, tensor in zip(plain, places, strict=True)]


def _letters(name: str) -> str:
    """Return a name without what converters replace: of `Age (years)` skl2onnx makes `Age__years_`."""
    return re.sub(r"[\W_]+", "", name).lower()


def _unclear(inputs: Sequence[Tensor], given: Sequence[str] | None) -> StackError:
    return StackError(
        "inputs of the model",
        found="no names of columns" if given is None else f"{len(given)} columns: {', '.join(given)}",
        expected=", ".join(
            f"{'any number of' if tensor.width is None else tensor.width} columns for {tensor.name}"
            if tensor.width != 1
            else f"a column {tensor.name}"
            for tensor in inputs
        ),
        todo="EXAMPLE=row.json or SAMPLE=rows.csv with exactly these columns; LABEL names the outcome",
    )


def values(columns: Sequence[Column], rows: DataFrame, where: str) -> DataFrame:
    """Return rows as the model takes them: numbers as float64, texts as objects. StackError: a value does not fit.

    Args:
        columns: of the model.
        rows: with the names that they have in the model.
        where: names the rows.
    """
    taken = {}
    for column in columns:
        field, given = FIELDS[column.input.type], rows[column.source]
        try:
            read = READERS["boolean" if field == "number" and _is_boolean(given) else field](given)
        except (ValueError, TypeError, OverflowError):
            found = f"values of type {given.dtype}, like {given.dropna().iloc[0]!r}"
            raise StackError(f"{where}, column {column.source}", found=found, expected=f"type {field}") from None
        if read.isna().any() and column.input.type not in ("float", "double", "string"):
            found, expected = f"{int(read.isna().sum())} missing values", f"none, as {column.input.type} has none"
            raise StackError(f"{where}, column {column.source}", found=found, expected=expected)
        taken[column.name] = read if column.kind == "category" else read.astype("float64")
    return DataFrame(taken, index=rows.index)


def _is_boolean(given: pd.Series) -> bool:
    return pd.api.types.is_bool_dtype(given)


def empty_row(columns: Sequence[Column]) -> DataFrame:
    """Return a row of zeros, for a model of which no row is known."""
    samples = {column.source: TYPES[FIELDS[column.input.type]].sample for column in columns}
    zeros = {name: value if isinstance(value, str) else type(value)(0) for name, value in samples.items()}
    return DataFrame([zeros])


def described(columns: Sequence[Column], rows: DataFrame, example: DataFrame) -> dict[str, dict[str, Any]]:
    """Return the section ``columns`` of project.yaml, without the outcome."""
    section = {}
    for column in columns:
        given, value = rows[column.source], example[column.source].iloc[0]
        boolean = FIELDS[column.input.type] == "number" and _is_boolean(given)
        kind = TYPES["boolean" if boolean else FIELDS[column.input.type]]
        facts: dict[str, Any] = {"type": kind.name}
        facts |= {"source": column.source} if column.source != column.name else {}
        facts["example"] = None if pd.isna(value) else kind.python(value)
        facts |= {"missing": min(0.99, round(float(given.isna().mean()) + 0.2, 2))} if given.isna().any() else {}
        texts = sorted(given.dropna().astype(str).unique()) if kind.name == "string" and len(rows) > 1 else []
        section[column.name] = facts | ({"values": texts} if 0 < len(texts) <= KNOWN else {})
    return section
