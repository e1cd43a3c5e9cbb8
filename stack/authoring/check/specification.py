"""Find what is wrong in project.yaml: every key at once, each with its line."""

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from stack.core.errors import StackError, meant, nearest
from stack.specification import tasks, yaml_errors
from stack.specification.request import RequestField, is_reserved
from stack.specification.sections import Spec
from stack.specification.specs import ProjectSpec, parse
from stack.specification.yaml_errors import Loc


def findings(path: Path) -> tuple[ProjectSpec | None, list[StackError]]:
    """Return the specification as far as it can be understood, and what is wrong with it.

    A misspelt key is read as the nearest known key, so that the rest of the project is checked as well.
    """
    try:
        raw = yaml_errors.read(path)
    except StackError as error:
        return None, [error]
    lines: dict[Loc, int] = {}
    errors = [*_duplicates(yaml.compose(path.read_text()), lines), *_renamed(ProjectSpec, raw)]
    spec: ProjectSpec | None = None
    try:
        spec = parse(raw, path)
    except StackError as error:
        spec, wrong = _repaired(raw, path)
        errors += wrong.items() or [(("name",), error)]
    if spec is not None:
        errors += _contradictions(spec)
    return spec, [_placed(error, loc, path, lines) for loc, error in errors]


def _placed(error: StackError, loc: Loc, path: Path, lines: dict[Loc, int]) -> StackError:
    """Add the line of a key to an error; a missing key has the line of the mapping that lacks it."""
    keys = tuple(map(str, loc))
    line = next((lines[keys[:depth]] for depth in range(len(keys), 0, -1) if keys[:depth] in lines), 1)
    where = f"{path}, line {line}" + (f", key {'.'.join(keys)}" if keys else "")
    return StackError(where, found=error.found, expected=error.expected, todo=error.todo)


def _duplicates(node: Any, lines: dict[Loc, int], loc: Loc = ()) -> Iterator[tuple[Loc, StackError]]:
    """Yield keys that stand twice in one mapping, as YAML silently takes the last one; collect the lines of all."""
    children: list[Any] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(number), item, item) for number, item in enumerate(node.value)]
    for part, child, value in children:
        key, line = (*loc, part), child.start_mark.line + 1
        if key in lines:
            found = f"the key a second time, in line {line}"
            yield key, StackError("", found=found, expected="each key once", todo="take one out")
        else:
            lines[key] = line
            yield from _duplicates(value, lines, key)


def _renamed(model: type[Spec], section: Any, loc: Loc = ()) -> Iterator[tuple[Loc, StackError]]:
    """Yield keys by a former name."""
    if not isinstance(section, dict):
        return
    for key, value in section.items():
        if key in model.renamed:
            todo = "rename the key: the former name is read for one more release"
            error = StackError("", found=f"the former name {key}", expected=model.renamed[key], todo=todo)
            yield (*loc, key), error
        inner = model.model_fields[key].annotation if key in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, Spec):
            yield from _renamed(inner, value, (*loc, key))


def _repaired(raw: Any, path: Path) -> tuple[ProjectSpec | None, dict[Loc, StackError]]:
    """Read misspelt keys as the nearest known ones; return the errors without those that a misspelling explains."""
    wrong: dict[Loc, StackError] = {}
    for _ in range(2):
        try:
            return ProjectSpec.model_validate(raw), wrong
        except ValidationError as error:
            wrong = yaml_errors.explain(ProjectSpec, error, path) | wrong
            misspelt = [
                yaml_errors.place(ProjectSpec, problem["loc"])
                for problem in error.errors()
                if problem["type"] == "extra_forbidden"
            ]
            for loc in misspelt:
                renamed = _rename(raw, loc)
                wrong = {at: finding for at, finding in wrong.items() if at != (*loc[:-1], renamed)}
    return None, wrong


def _rename(raw: Any, loc: Loc) -> str | None:
    """Give a misspelt key its nearest known name, in place; remove a key that resembles none."""
    for part in loc[:-1]:
        raw = raw[part]
    value = raw.pop(loc[-1])
    close = meant(str(loc[-1]), yaml_errors.known_keys(ProjectSpec, loc[:-1]))
    if close:
        raw.setdefault(close, value)
    return close


def _contradictions(spec: ProjectSpec) -> Iterator[tuple[Loc, StackError]]:
    """Yield keys that are well formed and contradict each other."""
    for key in spec.features.entities:
        if key not in spec.request:
            yield ("features", "entities"), _unknown(key, spec.request, "a request field")
    sections = {name: getattr(spec.gate, name, {}) for name in ("slices", "max_slice_loss_increase")}
    for section, column in ((section, column) for section, columns in sections.items() for column in columns):
        if spec.features.columns.get(column, "text") == "text":
            yield ("gate", section, column), _unknown(column, spec.column_types("category"), "a feature column")
    yield from _sinks(spec)
    section = "columns" if spec.columns else "request"
    for name, field in spec.request.items():
        if is_reserved(name):
            found, expected = "a name that the stack or pydantic uses in every request", "another name"
            yield (section, name), StackError("", found=found, expected=expected, todo="rename the field")
        if expected := _example(field):
            yield (section, name, "example"), StackError("", found=repr(field.example), expected=expected)


def _sinks(spec: ProjectSpec) -> Iterator[tuple[Loc, StackError]]:
    """Yield fields that a sensor is made of, and that requests or answers have not."""
    outputs = tasks.of(spec).answer_dtypes
    for position, sink in enumerate(spec.publish):
        key, output = getattr(sink, "key", ""), getattr(sink, "output", "")
        if key and key not in spec.request:
            yield ("publish", position, "key"), _unknown(key, spec.request, "a request field")
        if output and output not in outputs:
            yield ("publish", position, "output"), _unknown(output, outputs, "a field of the answer")


def _unknown(name: str, known: Collection[str], kind: str) -> StackError:
    found, expected = f"{name!r}{nearest(name, known)}", f"{kind}: {', '.join(known)}"
    return StackError("", found=found, expected=expected, todo="fix the name")


def _example(field: RequestField) -> str:
    """Return what a request field's example should be; empty when it is that."""
    if field.example is None:
        return "" if field.nullable else f"a value of type {field.type}, as the field is not nullable"
    if problem := field.field_type.example_problem(field.example):
        return problem
    value, limits = field.value, field.limits
    if len(str(value)) > limits.get("max_length", math.inf):
        return f"at most {limits['max_length']} characters, or a greater max_length"
    least, most = limits.get("ge", value), limits.get("le", value)
    return "" if least <= value <= most else f"a value from ge, {least}, to le, {most}"
