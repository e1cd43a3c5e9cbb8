"""What is wrong in a YAML file: its line or key, what was found, what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stack.core.errors import StackError, nearest

Loc = tuple[int | str, ...]


def read(path: Path) -> Any:
    """Parse a YAML file.

    Raises:
        StackError: it is no YAML; names the line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise StackError(str(path), found=str(error), expected="UTF-8", todo="save the file as UTF-8") from None
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
        loc, found, expected = one["loc"], _short(one["input"]), one["msg"].removeprefix("Value error, ")
        if one["type"] == "value_error" and isinstance(one["input"], dict) and ": " in expected:
            inside, found, expected = _of_several(one["input"], expected)
            loc = (*loc, *inside)
        if one["type"] == "extra_forbidden":
            found = f"an unknown key{nearest(str(loc[-1]), known_keys(model, loc[:-1]))}"
            expected = "a key of the specification"
        where = ".".join(map(str, loc))
        told[loc] = StackError(
            f"{path}, key {where}" if where else str(path), found=found, expected=expected, todo="mend the key"
        )
    return told


def _of_several(given: Any, said: str) -> tuple[Loc, str, str]:
    """Place in a section, value and fault of keys that do not fit each other: what is said begins with the key."""
    key, _, expected = said.partition(": ")
    loc = tuple(key.split("."))
    for part in loc:
        given = given.get(part) if isinstance(given, dict) else None
    return loc, _short(given), expected


def known_keys(model: Any, loc: Loc) -> list[str]:
    """Keys allowed at a place in a specification."""
    for part in loc:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            continue
        inner = [field.annotation, *getattr(field.annotation, "__args__", ())]
        model = next((one for one in inner if isinstance(one, type) and issubclass(one, BaseModel)), model)
    return list(model.model_fields)


def _short(value: Any) -> str:
    """A value as text; a missing key's is the whole mapping around it."""
    if isinstance(value, dict):
        return f"the keys {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
