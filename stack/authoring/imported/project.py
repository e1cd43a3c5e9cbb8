"""An imported model, ready to be registered: its graph, what its answers mean, and the project that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml
from pandas import DataFrame

from stack.authoring import templates
from stack.authoring.imported import answers, columns, graph
from stack.authoring.imported.answers import Meaning
from stack.authoring.imported.columns import Column, Wishes
from stack.authoring.imported.graph import Graph
from stack.authoring.scaffold import wording
from stack.authoring.scaffold.columns import identifiers
from stack.authoring.scaffold.project import require_free
from stack.core.errors import StackError
from stack.core.settings import Settings, settings
from stack.declared.source import READERS
from stack.specification import specs, tasks
from stack.specification.specs import ProjectSpec
from stack.training import tracking

TEMPLATE = Path(__file__).parent / "templates" / "project.yaml.jinja"
OUTCOME, ID = "outcome", "row_id"
REGISTERED = "models:/"


@dataclass(frozen=True)
class Imported:
    """A model that was read and tried."""

    place: str
    graph: Graph
    columns: list[Column]
    meaning: Meaning
    rows: DataFrame
    """The sample, or else the example, by the names of the project's columns."""
    outcomes: pd.Series[Any] | None
    """Of the rows, as they are written; None where they have none."""
    section: dict[str, dict[str, Any]]
    """The columns of a new project."""


def read(name: str, place: str, wishes: Wishes, of: Settings) -> Imported:
    """Read a model and try it; StackError: it cannot be served, or the project of the name takes no other such model.

    Args:
        place: an ONNX file, the folder of an MLflow model, or ``models:/...`` of the stack's MLflow.
    """
    existing = specs.load(name) if name in specs.names() else None
    if existing is None:
        require_free(name, settings().projects / name)
    elif not existing.imported:
        found, todo = f"the project {name}, which trains its models", "choose another name"
        raise StackError("NAME", found=found, expected="a new project, or one of imported models", todo=todo)
    with _fetched(place, of) as path:
        folder = path if path.is_dir() else None
        read = graph.read(_file(path, place) if folder else path, wishes.output, folder)
        signed = graph.signature(path) if folder else []
    if existing:
        classes = wishes.classes or ("" if read.classes else ",".join(map(str, existing.classes)))
        wishes = replace(wishes, task=wishes.task or existing.task, classes=classes)
    sample, example = columns.read_rows(wishes)
    names, label = columns.known(existing) if existing else {}, _label(existing, wishes)
    shown = sample if sample is not None else example
    given = [str(column) for column in shown if column != label] if shown is not None else signed or None
    taken = columns.assigned(read.inputs, [*names] if names else given, names)
    if shown is None:
        shown = columns.empty_row(taken) if existing is None else _of_project(existing, names)
    _require(shown, taken, wishes)
    rows = columns.values(taken, shown, f"SAMPLE={wishes.sample}" if wishes.sample else f"EXAMPLE={wishes.example}")
    meaning = answers.tried(read, taken, rows, wishes, place)
    outcomes = shown.get(label)
    section = columns.described(taken, shown, shown if example is None else example)
    if existing:
        _require_same(existing, taken, meaning)
    return Imported(place, read, taken, meaning, rows, outcomes, section)


def write(name: str, model: Imported, wishes: Wishes) -> Path:
    """Write the project of a model; return its project.yaml."""
    label = _label(None, wishes)
    (called,) = identifiers([label])
    meaning, classes = model.meaning, list(model.meaning.classes)
    kind = "number" if meaning.task == "regression" else "string" if isinstance((classes or [0])[0], str) else "integer"
    outcome = {"type": kind} | ({"source": label} if called != label else {})
    values = {
        "name": name,
        "model": Path(model.place).name,
        "made_by": model.graph.made_by,
        "note": meaning.note.partition(";")[0],
        "title": tasks.KINDS[meaning.task].question(label, classes),
        "task": meaning.task,
        "label": called,
        "classes": classes,
        "columns": {ID: {"type": "string", "role": "id"}} | model.section | {called: outcome},
    }
    folder = settings().projects / name
    folder.mkdir(parents=True)
    file = folder / "project.yaml"
    file.write_text(templates.filled(TEMPLATE, values, yaml=wording.flow, line=wording.line))
    return file


def encoded(spec: ProjectSpec, model: Imported) -> pd.Series[Any]:
    """Return the encoded outcomes of a model's rows; NaN where they have none."""
    if model.outcomes is None:
        return pd.Series(float("nan"), index=model.rows.index)
    read = READERS[spec.columns[spec.label].type](model.outcomes)
    return tasks.of(spec).encode(read, f"SAMPLE, column {model.outcomes.name}")


@contextmanager
def _fetched(place: str, of: Settings) -> Iterator[Path]:
    if not place.startswith(REGISTERED):
        yield Path(place).expanduser()
        return
    with TemporaryDirectory() as folder:
        yield tracking.download_model(of, place, Path(folder))


def _file(folder: Path, place: str) -> Path:
    """Return the ONNX file of an MLflow model."""
    described = folder / "MLmodel"
    flavours = yaml.safe_load(described.read_text()).get("flavors", {}) if described.is_file() else {}
    if "onnx" in flavours:
        file: Path = folder / flavours["onnx"]["data"]
        return file
    kinds = ", ".join(sorted(flavours)) or "no file MLmodel"
    raise StackError(
        f"MODEL={place}",
        found=f"an MLflow model of {kinds}" if flavours else kinds,
        expected="the flavour onnx: what others hold, as a pickle, runs code when it is loaded",
        todo="convert it where it was made, with skl2onnx, onnxmltools or torch.onnx.export, and import that file",
    )


def _label(existing: ProjectSpec | None, wishes: Wishes) -> str:
    if existing:
        return existing.columns[existing.label].source or existing.label
    return wishes.label or OUTCOME


def _of_project(spec: ProjectSpec, names: dict[str, str]) -> DataFrame:
    """Return the example of a project as a row."""
    return DataFrame([{source: spec.columns[name].example for source, name in names.items()}])


def _require(rows: DataFrame, taken: list[Column], wishes: Wishes) -> None:
    absent = [column.source for column in taken if column.source not in rows]
    if absent:
        where = f"SAMPLE={wishes.sample}" if wishes.sample else f"EXAMPLE={wishes.example}"
        raise StackError(where, found=f"no column {', '.join(absent)}", expected="every column that the model takes")


def _require_same(spec: ProjectSpec, taken: list[Column], meaning: Meaning) -> None:
    """Refuse a model that answers other requests, or otherwise."""
    ours = spec.features.columns
    theirs = {column.name: column.kind for column in taken}
    found, expected = (
        (f"columns {_listed(theirs)}", f"those of {spec.name}, {_listed(ours)}")
        if ours != theirs
        else (f"{meaning.task} {_listed(meaning.classes)}", f"{spec.task} {_listed(spec.classes)}")
    )
    if ours != theirs or (spec.task, tuple(spec.classes)) != (meaning.task, meaning.classes):
        raise StackError("MODEL", found=found, expected=expected, todo="import it under another name")


def _listed(names: Any) -> str:
    texts = [f"{name} ({kind})" for name, kind in names.items()] if isinstance(names, dict) else map(str, names)
    return ", ".join(texts)
