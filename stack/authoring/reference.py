"""Document every key of project.yaml as Markdown, from the typed classes.

``python -m stack.authoring.reference docs/projects.md``

The text between the markers of the file is replaced.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from stack.specification import fields, tasks
from stack.specification.sections import Spec
from stack.specification.specs import ProjectSpec

BEGIN, END = "<!-- keys: made by python -m stack.authoring.reference -->", "<!-- end of keys -->"
TYPES = (
    (r"TaskName", " or ".join(tasks.KINDS)),
    (r"FieldTypeName", " or ".join(fields.TYPES)),
    (r"Literal\[(.*?)\]", lambda match: match[1].replace("'", "").replace(", ", " or ")),
    (r"AwareDatetime", "instant"),
    (r"timedelta", "duration"),
    (r" \| None", " or null"),
    (r"\bstr\b", "text"),
    (r"\bbool\b", "true or false"),
    (r"\bint\b", "whole number"),
    (r"\bfloat\b", "number"),
    (r"\bAny\b", "anything"),
    (r"list\[(.*)\]", r"list of \1"),
    (r"tuple\[(.*)\]", r"[\1]"),
    (r"dict\[text, (.*)\]", r"name: \1"),
    (r"\|", "or"),
)


def markdown() -> str:
    """Return the reference: a table of the top level, and one for each section."""
    return "\n\n".join(_tables(ProjectSpec, ""))


def update(text: str) -> str:
    """Return a document with the current reference between its markers."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{markdown()}\n\n{END}{rest.partition(END)[2]}"


def _tables(model: type[Spec], place: str) -> Iterator[str]:
    if place:
        yield f"### {place.rstrip('.')}\n\n{inspect.getdoc(model)}"
    keys, inner = _keys(model), []
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, field in model.model_fields.items():
        kind, meaning = _type(keys[name][0]), keys[name][1]
        if section := _section(field):
            inner.append((section, f"{place}{name}{'' if field.annotation is section else '.<name>'}."))
            kind, meaning = "section", meaning or inspect.getdoc(section) or ""
        rows.append(f"| `{place}{name}` | {kind} | {_default(field)} | {_cell(meaning)} |")
    yield "\n".join(rows)
    for section, where in inner:
        yield from _tables(section, where)


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


def _section(field: FieldInfo) -> type[Spec] | None:
    """Return the class of a key that is a section, or a section for each name."""
    kinds = [field.annotation, *get_args(field.annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Spec)), None)


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
    path = Path(sys.argv[1])
    path.write_text(update(path.read_text()))
