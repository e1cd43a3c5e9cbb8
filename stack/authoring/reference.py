"""Document every key of project.yaml as Markdown, from the typed classes.

``python -m stack.authoring.reference docs/projects.md docs/sources.md docs/publishing.md``

The text between the markers of a file is replaced: by the whole reference, or by a section that has its own page.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from stack.specification import fields, tasks
from stack.specification.sections import KINDS, Spec
from stack.specification.specs import ProjectSpec
from stack.specification.yaml_errors import sections

BEGIN = re.compile(r"<!-- keys(?: of (\w+))?: made by python -m stack\.authoring\.reference -->")
END = "<!-- end of keys -->"
PAGES = {"source": "sources.md", "publish": "publishing.md"}
"""Section -> the page that documents its keys."""
TYPES = (
    (r"TaskName", " or ".join(tasks.KINDS)),
    (r"FieldTypeName", " or ".join(fields.TYPES)),
    (r"\bKind\b", " or ".join(KINDS)),
    (r"Format", "csv or parquet or excel or json or jsonl"),
    (r"Url", "URL"),
    (r"Sensor", "text"),
    (r"SecretValues", "name: text"),
    (r"Secret", "secret"),
    (r"Literal\[(.*?)\]", lambda match: match[1].replace("'", "").replace(", ", " or ")),
    (r"AwareDatetime", "instant"),
    (r"timedelta", "duration"),
    (r" \| None", " or null"),
    (r"\bstr\b", "text"),
    (r"\bbool\b", "true or false"),
    (r"\bint\b", "whole number"),
    (r"\bfloat\b", "number"),
    (r"\b(Any|Example)\b", "anything"),
    (r"list\[(.*)\]", r"list of \1"),
    (r"tuple\[(.*)\]", r"[\1]"),
    (r"dict\[text, (.*)\]", r"name: \1"),
    (r"dict\[(.*?), (.*)\]", r"\1: \2"),
    (r"\|", "or"),
)


def markdown(section: str = "") -> str:
    """Return the reference: a table of the top level, and one for each section; or that of a section alone."""
    if not section:
        return "\n\n".join(_tables(ProjectSpec, ""))
    return "\n\n".join(dict.fromkeys(_kinds([*sections(ProjectSpec.model_fields[section].annotation)], f"{section}.")))


def update(text: str) -> str:
    """Return a document with the current reference between its markers."""
    if not (begin := BEGIN.search(text)):
        return text
    rest = text[begin.end() :].partition(END)[2]
    return f"{text[: begin.end()]}\n\n{markdown(begin[1] or '')}\n\n{END}{rest}"


def _kinds(classes: list[type[BaseModel]], place: str) -> Iterator[str]:
    """Yield the keys that all kinds of a section have, and those of each kind."""
    common = next(base for base in classes[0].__mro__ if all(issubclass(kind, base) for kind in classes))
    yield from _tables(common, place)
    if len(classes) > 1:
        for kind in classes:
            yield from _tables(kind, place, f", `kind: {get_args(kind.model_fields['kind'].annotation)[0]}`", common)


def _tables(model: type[BaseModel], place: str, kind: str = "", common: type[BaseModel] = BaseModel) -> Iterator[str]:
    """Yield the table of a section and of those inside of it, without the keys of a class that it has in common."""
    if place:
        yield f"### {place.rstrip('.')}{kind}\n\n{inspect.getdoc(model)}"
    keys: dict[str, tuple[str, str]] = {}
    for base in reversed(model.__mro__):
        keys |= _keys(base) if issubclass(base, Spec) else {}
    inner = []
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    documented = common.model_fields.keys() | {"kind"} if kind else set()
    for name, field in model.model_fields.items():
        if name in documented:
            continue
        written, meaning = _type(keys[name][0]), keys[name][1]
        if classes := [*sections(field.annotation)]:
            if place or name not in PAGES:
                inner.append((classes, f"{place}{name}{'.<name>' if get_origin(field.annotation) is dict else ''}."))
            written, meaning = "section", meaning or inspect.getdoc(classes[0]) or ""
        page = PAGES.get(f"{place}{name}")
        rows.append(
            f"| `{place}{name}` | {f'[section]({page})' if page else written} | {_default(field)} | {_cell(meaning)} |"
        )
    yield "\n".join(rows)
    for classes, where in inner:
        yield from _kinds(classes, where)


def _keys(model: type[Spec]) -> dict[str, tuple[str, str]]:
    """Return the annotation of each key, as it is written, and the docstring below it."""
    (tree,) = ast.parse(inspect.getsource(model)).body
    return {
        ast.unparse(key.target): (
            ast.unparse(key.annotation),
            inspect.cleandoc(ast.literal_eval(text.value)) if isinstance(text, ast.Expr) else "",
        )
        for key, text in pairwise([*getattr(tree, "body", []), ast.Pass()])
        if isinstance(key, ast.AnnAssign)
    }


def _type(annotation: str) -> str:
    for pattern, text in TYPES:
        annotation = re.sub(pattern, text, annotation)
    return _cell(annotation)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, Spec) or value in ("", [], {}):
        return ""
    if isinstance(value, timedelta | datetime):
        return f"`{TypeAdapter(type(value)).dump_python(value, mode='json')}`"
    return f"`{'null' if value is None else str(value).lower() if isinstance(value, bool) else value}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(update(path.read_text()))
