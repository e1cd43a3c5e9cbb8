"""Variable substitution in the words of a Compose file, as Docker Compose does it.

Source: https://docs.docker.com/reference/compose-file/interpolation/
"""

import re
from collections.abc import Mapping
from typing import Any

from stack.core.errors import StackError

NAME = "[A-Za-z_][A-Za-z0-9_]*"


def _balanced(levels: int) -> str:
    """Return the pattern of a text whose braces are in pairs, up to so many levels deep."""
    return rf"(?:[^{{}}]|\{{{_balanced(levels - 1)}\}})*" if levels else "[^{}]*"


VARIABLE = re.compile(
    rf"\$(?:(?P<dollar>\$)|(?P<bare>{NAME})|\{{(?P<name>{NAME})(?:(?P<operator>:?[-?+])(?P<rest>{_balanced(4)}))?\}}|)"
)


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
        return VARIABLE.sub(lambda match: _value(match, values, where), node)
    if isinstance(node, Mapping):
        return {key: interpolate(value, values, f"{where}.{key}") for key, value in node.items()}
    if isinstance(node, list):
        return [interpolate(value, values, f"{where}[{index}]") for index, value in enumerate(node)]
    return node


def _value(match: re.Match[str], values: Mapping[str, str], where: str) -> str:
    name, operator, rest = match["bare"] or match["name"], match["operator"] or "", match["rest"]
    if match["dollar"]:
        return "$"
    if not name:
        expected = "${NAME}, ${NAME:-default}, ${NAME:?why}, or $$ for a dollar sign"
        raise StackError(where, found=match.string, expected=expected)
    value = values.get(name)
    is_set = bool(value) if operator.startswith(":") else value is not None
    match operator[-1:]:
        case "+":
            return str(interpolate(rest, values, where)) if is_set else ""
        case "-" if not is_set:
            return str(interpolate(rest, values, where))
        case "?" if not is_set:
            raise StackError(where, found=f"{name} is not set", expected=rest or "a value", todo=f"set {name} in .env")
    return value or ""
