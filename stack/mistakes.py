"""What is wrong in a YAML file: its line or key, what was found, what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stack.errors import StackError, nearest

Loc = tuple[int | str, ...]


def read(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        StackError: it is no YAML; names the line.
    """
    try:
        return yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        raise StackError(
            f"{path}, line {at.line + 1}" if at else str(path),
            found=" ".join(str(error).split()),
            expected="YAML",
            todo="mend the line, or the one above it",
        ) from None


def explain(model: type[BaseModel], error: ValidationError, path: Path) -> dict[Loc, StackError]:
    """Say of each wrong key what was found and what was expected; misspelt keys first, as they are missing ones too."""
    told = {}
    for one in sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden"):
        where = ".".join(str(part) for part in one["loc"])
        found, expected = _short(one["input"]), one["msg"]
        if one["type"] == "extra_forbidden":
            found = f"an unknown key{nearest(str(one['loc'][-1]), known_keys(model, one['loc'][:-1]))}"
            expected = "a key of the specification"
        told[one["loc"]] = StackError(
            f"{path}, key {where}" if where else str(path), found=found, expected=expected, todo="mend the key"
        )
    return told


def known_keys(model: Any, loc: Loc) -> list[str]:
    """Keys allowed at a place in a specification."""
    for part in loc:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields)


def _short(value: Any, width: int = 80) -> str:
    """A value as text; a missing key's is the whole mapping around it."""
    if isinstance(value, dict):
        return f"the keys {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}..."
