"""Write the Python files of a project whose project.yaml declares them, so that they can be changed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stack.authoring import templates
from stack.authoring.eject import literals, section
from stack.core.errors import StackError
from stack.core.settings import settings
from stack.declared import features
from stack.project import Project
from stack.specification import formulas, table, tasks
from stack.specification.fields import TYPES, Datetime
from stack.specification.specs import ProjectSpec
from stack.specification.table import ROW, ROWS

TEMPLATES = Path(__file__).parent / "templates"
FILTERS: dict[str, Callable[..., str]] = {"py": literals.python, "joined": literals.joined, "written": literals.written}
PARTS = ("source", "features", "checks", "definitions")
"""What can be written; ``definitions`` is ``feature_repo/<name>.py``."""


def write(project: Project, parts: list[str]) -> list[Path]:
    """Write parts of a project as Python files, and take out of project.yaml what they replace; return what changed.

    Raises:
        StackError: a part is written already, or project.yaml does not declare it.
    """
    spec, path = project.spec, project.spec.folder / "project.yaml"
    if not spec.columns:
        raise StackError(str(path), found="no columns", expected="columns and source", todo="edit its Python files")
    if spec.forecast and {"features", "definitions"} & {*parts}:
        found, todo = "a forecast, whose features follow from its columns", "leave them there: PARTS=source,checks"
        raise StackError(str(path), found=found, expected="formulas", todo=todo)
    files = {part: _file(spec, part) for part in parts}
    for part, file in files.items():
        if file.exists():
            raise StackError(str(file), found="it exists", expected="a part that project.yaml declares", todo="edit it")
        if part == "source" and (spec.source is None or not _can_be_written(spec)):
            found = f"kind {spec.source.kind}" if spec.source else "no section source"
            todo = "leave the source in project.yaml: PARTS=features,checks"
            raise StackError(str(path), found=found, expected="a CSV or Parquet file below the folder", todo=todo)
    if "definitions" in parts and not ({"features"} & {*parts} or spec.has("features")):
        todo = "write features.py too: PARTS=features,definitions"
        raise StackError(str(files["definitions"]), found="formulas", expected="features.py beside it", todo=todo)
    values = _values(spec)
    texts = {file: templates.filled(TEMPLATES / f"{part}.py.jinja", values, **FILTERS) for part, file in files.items()}
    texts[path] = _without(path.read_text(), spec, parts)
    for file, text in texts.items():
        file.parent.mkdir(exist_ok=True)  # a workspace may have no feature_repo yet
        file.write_text(text)
    return list(texts)


def _file(spec: ProjectSpec, part: str) -> Path:
    return settings().definitions / f"{spec.name}.py" if part == "definitions" else spec.folder / f"{part}.py"


def _can_be_written(spec: ProjectSpec) -> bool:
    source = spec.source
    readable = source is not None and source.kind == "file" and not source.package and "://" not in source.path
    return readable and Path(getattr(source, "path", "")).suffix in (".csv", ".gz", ".tsv", ".txt", ".parquet")


def _without(text: str, spec: ProjectSpec, parts: list[str]) -> str:
    """Return project.yaml without the source and the formulas that Python files replace."""
    if "source" in parts:
        key = spec.tables[ROWS]
        snapshot = ", snapshot: true" if key.snapshot else ""
        text = section.replaced(text, "source", f"tables:\n  rows: {{key: {literals.flow(key.key)}{snapshot}}}\n")
    if "features" in parts:
        kinds = "".join(f"    {name}: {kind}\n" for name, kind in spec.features.columns.items())
        options = "".join(
            f"  {key}: {literals.flow(by_column)}\n"
            for key, by_column in spec.features.model_dump(include={"monotonic", "encode"}).items()
            if by_column
        )
        entities = f"  entities: {literals.flow(spec.features.entities)}\n" if spec.features.entities else ""
        text = section.replaced(text, "features", f"features:\n{entities}  columns:\n{kinds}{options}")
    return text


def _values(spec: ProjectSpec) -> dict[str, Any]:
    """Return the values that the templates insert."""
    columns, source = spec.columns, spec.source
    past = features.pasts(spec)
    asked = features.on_request(spec)
    written = {name: text for name, (_, text) in asked.items() if text}
    zone = source.zone if source else "UTC"
    key = spec.tables[ROWS].key
    task = tasks.of(spec)
    return {
        "name": spec.name,
        "title": spec.title,
        "label": spec.label,
        "zone": zone,
        "source": source,
        "columns": columns,
        "time": table.time(columns),
        "known": next(iter(table.of_role(columns, "known")), None),
        "later": table.of_role(columns, "later"),
        "instants": [name for name, column in columns.items() if column.type == Datetime.name],
        "clocks": any("clock" in column.parts for column in columns.values()),
        "names": {column.source or name: name for name, column in columns.items() if not column.parts},
        "texts": [name for name, column in columns.items() if TYPES[column.type].python is str],
        "united": {
            name: column.unit
            for name, column in columns.items()
            if column.unit and column.type in ("number", "integer")
        },
        "numbered": ROW in key and ROW not in columns,
        "ids": ' + "-" + '.join(f'rows["{column}"].astype(str)' for column in key),
        "lookback": max((one.hours + one.ago for one in past.values()), default=0),
        "positive": task.classes[1] if task.classes else None,
        "averages_label": any(one.column == spec.label for one in past.values()),
        "pasts": [_past(spec, entity) for entity in spec.features.entities],
        "numbers": [name for name, (kind, text) in asked.items() if kind == "number" and not text],
        "categories": [name for name, (kind, text) in asked.items() if kind != "number" and not text],
        "formulas": {name: literals.expression(formulas.parse(text), zone) for name, text in written.items()},
        "expectations": list(_expectations(spec)),
        "service": spec.features.service,
        "keys": {entity: spec.request[entity].field_type for entity in spec.features.entities},
        "request": {
            name: field.field_type for name, field in spec.request.items() if name not in spec.features.entities
        },
        "types": _types(spec, asked),
        "samples": {entity: spec.request[entity].field_type.sample for entity in spec.features.entities},
        "asked_instants": [name for name, field in spec.request.items() if field.type == Datetime.name],
        "views": [*(f"{entity}_past" for entity in spec.features.entities), f"{spec.name}_on_request"],
        "derived": {name: "Float64" if kind == "number" else "String" for name, (kind, _) in asked.items()},
    }


def _types(spec: ProjectSpec, asked: dict[str, tuple[str, str]]) -> list[str]:
    """Return the types of Feast that the definitions name."""
    types = {field.field_type.feast for field in spec.request.values()}
    types |= {"Float64" if kind == "number" else "String" for kind, _ in asked.values()}
    return sorted(types | ({"Float32"} if spec.features.entities else set()))


def _past(spec: ProjectSpec, key: str) -> dict[str, Any]:
    """Return the arguments of ``rolling.means`` for a key, and the names of its features."""
    own = {name: one for name, one in features.pasts(spec).items() if one.key == key}
    _, hours = features.tick_of(own)
    windows = {f"{one.hours}h{one.ago}": (one.hours // hours, one.ago // hours) for one in own.values()}
    return {
        "key": key,
        "view": features.view(spec, key),
        "averaged": list(dict.fromkeys(one.column for one in own.values() if one.column)),
        "tick": "1h" if hours == 1 else "1D",
        "hours": hours,
        "windows": windows,
        "renamed": {f"{key}_{one.column or 'rows'}_{one.hours}h{one.ago}": name for name, one in own.items()},
    }


def _expectations(spec: ProjectSpec) -> Iterator[str]:
    """Yield the expectations of the columns as Python."""
    key, task = spec.tables[ROWS].key, tasks.of(spec)
    for name, column in spec.columns.items():
        if name not in key:
            yield f'present("{name}"' + (f", missing={column.missing})" if column.missing else ")")
        if name == spec.label and task.classes:
            yield f'among("{name}", {literals.python(list(task.classes))}, strictly=True)'
        elif column.values:
            yield f'among("{name}", {literals.python(column.values)})'
        if column.between:
            yield f'between("{name}", {column.between[0]}, {column.between[1]})'
