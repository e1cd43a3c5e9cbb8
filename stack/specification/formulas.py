"""Formulas of features in project.yaml: parsed, never executed as code.

Two kinds: the past of a key, ``mean(sales, 7d) by store`` or ``count(28d) by store``, and an expression of the fields
of a request, ``price / customers`` or ``hour(date)``. A packaged model holds this module, which needs the standard
library alone.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, ClassVar

from stack.kit import rowwise

PAST = re.compile(
    r"(mean|count)\(\s*(?:([A-Za-z]\w*)\s*,\s*)?(\d+)([dh])\s*(?:,\s*(\d+)([dh])\s*)?\)\s+by\s+([A-Za-z]\w*)"
)
HOURS = {"h": 1, "d": 24}
CALENDAR: dict[str, Callable[[datetime], float]] = {
    "minute": lambda at: at.minute,
    "hour": lambda at: at.hour,
    "weekday": lambda at: at.weekday(),
    "day": lambda at: at.day,
    "month": lambda at: at.month,
    "dayofyear": lambda at: at.timetuple().tm_yday,
    "year": lambda at: at.year,
    "days": lambda at: at.timestamp() / 86400,
}
"""Parts of an instant by the local clock, Monday is 0; and the days since the start of 1970, UTC."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "min": min,
    "max": max,
    "round": round,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "first": rowwise.first,
    "sin": math.sin,
    "cos": math.cos,
}
OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
GRAMMAR = (
    "the past of a key, like mean(sales, 7d) by store or count(28d) by store, or fields of the request with + - * /, "
    f"{', '.join(sorted([*FUNCTIONS, *CALENDAR, 'text']))}"
)
Values = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Past:
    """The mean of a column, or the number of rows, over the rows of a key that were known before."""

    column: str | None
    """Averaged; None counts rows."""
    key: str
    hours: int
    """Length of the window."""
    ago: int
    """Hours between its end and the instant that is asked about."""
    by_hour: bool
    """Whether the past is computed each hour, not each day."""
    kind: ClassVar[str] = "number"

    def problem(self, asked: Mapping[str, str], keys: Collection[str], numbers: Collection[str]) -> str:
        """Return what the formula should be; empty when it fits the request fields, keys and numbers of a project."""
        if self.key not in keys:
            return f"by a column of role key: {', '.join(keys) or 'there is none'}"
        return "" if self.column is None or self.column in numbers else f"the mean of numbers: {', '.join(numbers)}"


@dataclass(frozen=True)
class OnRequest:
    """An expression of the fields of a request."""

    text: str
    tree: ast.expr

    @property
    def names(self) -> list[str]:
        """The request fields that it reads."""
        called = {id(node.func) for node in ast.walk(self.tree) if isinstance(node, ast.Call)}
        names = (node for node in ast.walk(self.tree) if isinstance(node, ast.Name) and id(node) not in called)
        return list(dict.fromkeys(node.id for node in names))

    @property
    def kind(self) -> str:
        """How the model reads it."""
        return "category" if _is_text(self.tree) else "number"

    def problem(self, asked: Mapping[str, str], keys: Collection[str], numbers: Collection[str]) -> str:
        """Return what the formula should be; empty when it fits the request fields of a project."""
        if strange := [name for name in self.names if name not in asked]:
            return f"request fields, {', '.join(asked)}, instead of {strange[0]}"
        if texts := [name for name in self.names if asked[name] == "text"]:
            return f"fields of other types than text, which {texts[0]} has"
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALENDAR:
                (given,) = node.args
                if not isinstance(given, ast.Name) or asked[given.id] != "datetime":
                    return f"{node.func.id}() of a field of type datetime"
        return ""

    def values(self, request: Values, zone: str = "UTC") -> list[Any]:
        """Return the value of each row; None where a field is missing, or the operation has no value."""
        return _present(_values(self.tree, request, zone, len(next(iter(request.values())))))


Formula = Past | OnRequest


@lru_cache(maxsize=1024)
def parse(text: str) -> Formula:
    """Parse a formula. ValueError says what is expected."""
    if past := PAST.fullmatch(text.strip()):
        function, column, length, unit, ago, ago_unit, key = past.groups()
        if (function == "mean") != (column is not None):
            raise ValueError("mean(column, 7d) by key, or count(7d) by key")
        away = int(ago) * HOURS[ago_unit] if ago else 0
        if not int(length):
            raise ValueError("a window longer than nothing")
        return Past(column, key, int(length) * HOURS[unit], away, "h" in (unit, ago_unit))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise ValueError(f"{GRAMMAR} ({error.msg})") from None
    _require_known(tree)
    if not any(isinstance(node, ast.Name) for node in ast.walk(tree)):
        raise ValueError(GRAMMAR)
    return OnRequest(text, tree)


def derive(request: Values, columns: Mapping[str, tuple[str, str]], zone: str) -> dict[str, list[Any]]:
    """Return the features of requests: fields as they are, and formulas; a missing value stays missing.

    Args:
        request: field -> value of each row.
        columns: feature -> "number" or "category", and its formula; without one it is the field of its name.
        zone: of the local clock.
    """
    found: dict[str, list[Any]] = {}
    for name, (kind, text) in columns.items():
        formula = parse(text) if text else None
        values = formula.values(request, zone) if isinstance(formula, OnRequest) else request[name]
        found[name] = _numbers(values) if kind == "number" else _present(values)
    return found


def _numbers(values: Sequence[Any]) -> list[float | None]:
    """Return values as floats, missing ones as None."""
    finite = math.isfinite
    return [None if value is None or not finite(number := float(value)) else number for value in values]


def _present(values: Sequence[Any]) -> list[Any]:
    """Return values, missing ones as None."""
    return [None if rowwise.is_missing(value) else value for value in values]


def _require_known(node: ast.expr) -> None:
    """Refuse what is no part of the grammar."""
    match node:
        case ast.Name() | ast.Constant(value=int() | float() | str()):
            return
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            inner = [left, right]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            inner = [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
            inner = [left, right]
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name == "text" or name in CALENDAR:
            inner = [argument]
        case ast.Call(func=ast.Name(id=name), args=[_, *_] as arguments, keywords=[]) if name in FUNCTIONS:
            inner = arguments
        case _:
            raise ValueError(f"{GRAMMAR}; not {ast.unparse(node)}")
    for one in inner:
        _require_known(one)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "text"


def _values(node: ast.expr, request: Values, zone: str, count: int) -> list[Any]:
    match node:
        case ast.Constant(value=value):
            return [value] * count
        case ast.Name(id=name):
            return list(request[name])
        case ast.Call(func=ast.Name(id=name), args=arguments):
            function, operands = _function(name, zone), arguments
        case ast.UnaryOp(op=op, operand=operand):
            function, operands = OPERATORS[type(op)], [operand]
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            function, operands = _as_number(OPERATORS[type(op)]), [left, right]
        case ast.BinOp(left=left, op=op, right=right):
            function, operands = OPERATORS[type(op)], [left, right]
        case _:
            raise AssertionError(ast.dump(node))
    return rowwise.each(function, *(_values(operand, request, zone, count) for operand in operands))


def _function(name: str, zone: str) -> Callable[..., Any]:
    if name == "text":
        return str
    if name in CALENDAR:
        part = CALENDAR[name]
        return lambda at: float(part(rowwise.local(at, zone)))
    return FUNCTIONS[name]


def _as_number(compare: Callable[..., bool]) -> Callable[..., float]:
    return lambda left, right: float(compare(left, right))
