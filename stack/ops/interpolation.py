"""Variable substitution in the words of a Compose file, as Docker Compose does it.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stack.core.errors import StackError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPERATOR = re.compile(r":?[-?+]")


def interpolate(node: Any, values: Mapping[str, str], where: str) -> Any:
    """Substitute ``${X}``, ``${X:-default}``, ``${X:?why}`` and ``${X:+instead}`` in every string of a YAML node.

    Args:
        node: parsed YAML.
        values: the variables; a default may itself name some.
        where: the place in the file, for errors.

    Raises:
        StackError: a required variable is missing, or the form is unknown.
    """
    if isinstance(node, str):
        return _text(node, values, where)
    if isinstance(node, Mapping):
        return {key: interpolate(value, values, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, values, f"{where}[{index}]") for index, value in enumerate(node)]
    return node


def _text(text: str, values: Mapping[str, str], where: str) -> str:
    done, at = [], 0
    while (dollar := text.find("$", at)) >= 0:
        done.append(text[at:dollar])
        word, at = _variable(text, dollar + 1, values, where)
        done.append(word)
    return "".join([*done, text[at:]])


def _variable(text: str, at: int, values: Mapping[str, str], where: str) -> tuple[str, int]:
    """Resolve the variable behind a dollar sign; return its text and where the rest begins."""
    if text.startswith("$", at):
        return "$", at + 1
    if text.startswith("{", at):
        end = _closing_brace(text, at, where)
        return _braced(text[at + 1 : end], values, where), end + 1
    if match := NAME.match(text, at):
        return values.get(match.group(), ""), match.end()
    raise _malformed(text, where)


def _closing_brace(text: str, at: int, where: str) -> int:
    depth = 0
    for index in range(at, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise _malformed(text, where)


def _braced(body: str, values: Mapping[str, str], where: str) -> str:
    name = NAME.match(body)
    operator = OPERATOR.match(body, name.end()) if name else None
    if name is None or (operator is None and name.end() != len(body)):
        raise _malformed(f"${{{body}}}", where)
    value = values.get(name.group())
    if operator is None:
        return value or ""
    given = bool(value) if operator.group().startswith(":") else value is not None
    rest = body[operator.end() :]
    match operator.group()[-1]:
        case "-":
            return (value or "") if given else _text(rest, values, where)
        case "+":
            return _text(rest, values, where) if given else ""
    if not given:
        raise StackError(
            where, found=f"{name.group()} is not set", expected=rest or "a value", todo=f"set {name.group()} in .env"
        )
    return value or ""


def _malformed(text: str, where: str) -> StackError:
    return StackError(where, found=text, expected="${NAME}, ${NAME:-default}, ${NAME:?why}, or $$ for a dollar sign")
