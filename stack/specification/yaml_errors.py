"""Read YAML files; errors name the line or key, what was found and what was expected."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from stack.core.errors import StackError, nearest

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast where PyYAML was built with libyaml."""
Loc = tuple[int | str, ...]
FOLLOWS = "follows"
"""Type of an error of a section that is made of another one, which is wrong."""
MAX_DEPTH, MAX_VALUES = 40, 100_000
"""Of a file, with what its aliases stand for: deeper ones end the process within libyaml, larger ones never end."""
UNREADABLE = (ValueError, LookupError, AttributeError)
"""What PyYAML raises for a scalar that is none of its type, as the date 2024-02-30."""
IN_PLAIN_TEXT = "in_plain_text"
"""Type of the error of a secret that stands in project.yaml, which no message repeats."""


def read(path: Path) -> Any:
    """Parse a YAML file; a StackError names the line that is no YAML."""
    try:
        text = path.read_text(encoding="utf-8")
        _require_small(text, path)
        return yaml.load(text, Loader=LOADER)  # noqa: S506  # a safe one
    except UnicodeDecodeError as error:
        raise StackError(str(path), found=str(error), expected="UTF-8", todo="save the file as UTF-8") from None
    except yaml.YAMLError as error:
        at = getattr(error, "problem_mark", None)
        raise StackError(
            f"{path}, line {at.line + 1}" if at else str(path),
            found=" ".join(str(error).split()),
            expected="YAML",
            todo="fix the line, or the one above it",
        ) from None
    except UNREADABLE as error:
        todo = "put the value in quotes, or correct it"
        raise StackError(str(path), found=str(error), expected="dates and numbers that there are", todo=todo) from None


def _require_small(text: str, path: Path) -> None:
    """Refuse nesting and aliases beyond what a specification needs, before anything is made of them."""
    open_values, sizes = [0], dict[str | None, int]()
    names: list[str | None] = []
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            open_values.append(1)
            names.append(event.anchor)
        elif isinstance(event, yaml.CollectionEndEvent):
            sizes[names.pop()] = size = open_values.pop()
            open_values[-1] += size
        elif isinstance(event, yaml.AliasEvent):
            open_values[-1] += sizes.get(event.anchor, MAX_VALUES + 1 if event.anchor in names else 1)
        elif isinstance(event, yaml.ScalarEvent):
            open_values[-1] += 1
        if len(names) > MAX_DEPTH or open_values[-1] > MAX_VALUES:
            expected = f"at most {MAX_VALUES:,} values, aliases resolved, in {MAX_DEPTH} levels"
            raise StackError(str(path), found="more", expected=expected, todo="leave the aliases out, or some levels")


def explain(model: type[BaseModel], error: ValidationError, path: Path) -> dict[Loc, StackError]:
    """Describe each wrong key; misspelt keys first, as they are missing ones too."""
    problems = {}
    details = [detail for detail in error.errors() if detail["type"] != FOLLOWS]
    for detail in sorted(details, key=lambda detail: detail["type"] != "extra_forbidden"):
        loc, found, expected = detail["loc"], _short(detail["input"]), detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "value_error" and isinstance(detail["input"], dict) and ": " in expected:
            inside, found, expected = _of_several(detail["input"], expected)
            loc = (*loc, *inside)
        if detail["type"] == "extra_forbidden":
            found = f"an unknown key{nearest(str(loc[-1]), known_keys(model, loc[:-1]))}"
            expected = "a key of the specification"
        if detail["type"] == IN_PLAIN_TEXT:
            found = "a secret in plain text"
        if detail["type"] == "union_tag_invalid":
            kinds = detail["ctx"]["expected_tags"]
            loc, found, expected = (*loc, "kind"), _unknown_kind(detail["ctx"]["tag"], kinds), f"one of {kinds}"
        loc = place(model, loc)
        where = ".".join(map(str, loc))
        problems[loc] = StackError(
            f"{path}, key {where}" if where else str(path), found=found, expected=expected, todo="fix the key"
        )
    return problems


def _of_several(section: Any, message: str) -> tuple[Loc, str, str]:
    """Split the message of keys that contradict each other, which begins with one: its place, value and problem."""
    key, _, expected = message.partition(": ")
    loc = tuple(key.split("."))
    for part in loc:
        section = section.get(part) if isinstance(section, dict) else None
    return loc, _short(section), expected


def place(model: Any, loc: Loc) -> Loc:
    """Return the keys that lead to a place, without the kinds of sections that pydantic names beside them."""
    return _walk(model, loc)[0]


def known_keys(model: Any, loc: Loc) -> list[str]:
    """Return the keys allowed at a place in a specification; of a section of an unknown kind those of any."""
    return list({key: None for section in _walk(model, loc)[1] for key in section.model_fields})


def _walk(model: Any, loc: Loc) -> tuple[Loc, list[Any]]:
    """Return a place without what pydantic adds to it, the kind of a section that has several, and its classes."""
    place: Loc = ()
    models = [model]
    for part in loc:
        of_kind = [model for model in models if get_args(model.model_fields.get("kind", _ANY).annotation) == (part,)]
        if of_kind and len(models) > 1:
            models = of_kind
            continue
        place = (*place, part)
        field = next((model.model_fields[str(part)] for model in models if part in model.model_fields), None)
        models = (field and [*sections(field.annotation)]) or models
    return place, models


_ANY = FieldInfo()


def sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the classes in the type of a key: of a section, a list of them, or one of several kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from sections(inner)


def _unknown_kind(kind: str, kinds: str) -> str:
    return f"{kind!r}" + nearest(kind, [known.strip("' ") for known in kinds.split(",")])


def _short(value: Any) -> str:
    """Return a value as text; a missing key's is the whole mapping around it."""
    if isinstance(value, dict):
        return f"the keys {', '.join(map(str, value))}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
