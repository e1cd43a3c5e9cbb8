"""Write values and formulas as Python."""

import ast
import json
from collections.abc import Mapping
from typing import Any

import yaml

from stack.declared.instants import UNIX
from stack.specification.formulas import CALENDAR, Formula, OnRequest
from stack.specification.table import Column

WIDTH = 120
PARTS = {
    "minute": "minute",
    "hour": "hour",
    "weekday": "weekday()",
    "day": "day",
    "month": "month",
    "dayofyear": "timetuple().tm_yday",
    "year": "year",
    "days": "timestamp() / 86400",
}
"""Function of a formula -> attribute of a datetime."""
IN_MATH = ("sqrt", "log", "exp", "sin", "cos")


def python(value: Any, before: str = "") -> str:
    """Return a literal as ruff formats it: on one line, or an item a line where that is too long."""
    if isinstance(value, Mapping):
        items, (opening, closing) = [f"{python(key)}: {python(item)}" for key, item in value.items()], "{}"
    elif isinstance(value, list):
        items, (opening, closing) = [python(item) for item in value], "[]"
    else:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    line = f"{opening}{', '.join(items)}{closing}"
    if len(before) + len(line) <= WIDTH or not before:
        return line
    return "\n".join([opening, *(f"    {item}," for item in items), closing])


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()


def written(form: str) -> str:
    """Return the arguments of ``pandas.to_datetime`` for a format of project.yaml."""
    if form in UNIX:
        return f', unit="{UNIX[form]}", utc=True'
    return f", format={python(form)}" if form else ""


def joined(column: Column) -> str:
    """Return Python that puts an instant together of the columns of the file's ``table``."""
    if form := column.parts.get("text"):
        texts = f'table.apply(lambda row: {python(form)}.format_map(row), axis="columns")'
        return f"pd.to_datetime({texts}, format={python(column.format)})"
    parts = {part: f"table[{python(name)}]" for part, name in column.parts.items()}
    if "date" in parts:
        text = f"pd.to_datetime({parts['date']}{written(column.format)})"
    else:
        text = f"pd.to_datetime({{{', '.join(f'{python(part)}: {parts[part]}' for part in ('year', 'month', 'day'))}}})"
    for unit in (unit for unit in ("hour", "minute") if unit in parts):
        text += f' + pd.to_timedelta({parts[unit]}, unit="{unit}")'
    return text + (f" + time_of_day({parts['clock']})" if "clock" in parts else "")


def expression(formula: Formula, zone: str) -> str:
    """Return Python that computes a formula of the fields of ``request``, row by row."""
    assert isinstance(formula, OnRequest)  # noqa: S101  # the past of a key is no expression
    return _Writer(zone).each(formula.tree)


class _Writer:
    """Writes expressions; what may be missing without loss is a column of its own."""

    def __init__(self, zone: str) -> None:
        self.zone, self.arguments = zone, dict[str, str]()

    def each(self, tree: ast.expr) -> str:
        """Return a call of ``rowwise.each``."""
        if _is_call(tree, "first"):
            operands = [_Writer(self.zone).each(one) for one in tree.args]  # type: ignore[attr-defined]
            return f"rowwise.each(rowwise.first, {', '.join(operands)})"
        if isinstance(tree, ast.Name):
            return f'request["{tree.id}"]'
        text = ast.unparse(self._value(tree))
        return f"rowwise.each(lambda {', '.join(self.arguments)}: {text}, {', '.join(self.arguments.values())})"

    def _value(self, node: ast.expr) -> ast.expr:
        if _is_call(node, "first"):
            name = f"value_{len(self.arguments)}"
            self.arguments[name] = _Writer(self.zone).each(node)
            return ast.Name(name)
        match node:
            case ast.Name(id=name):
                self.arguments[name] = f'request["{name}"]'
                return node
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, [self._value(one) for one in arguments])
            case ast.Compare(left=left, ops=ops, comparators=[right]):
                compared = ast.Compare(self._value(left), ops, [self._value(right)])
                return ast.Call(ast.Name("float"), [compared], [])
            case ast.BinOp(left=left, op=op, right=right):
                return ast.BinOp(self._value(left), op, self._value(right))
            case ast.UnaryOp(op=op, operand=operand):
                return ast.UnaryOp(op, self._value(operand))
        return node

    def _call(self, name: str, arguments: list[ast.expr]) -> ast.expr:
        if name in CALENDAR:
            return _parsed(f"float(rowwise.local({ast.unparse(arguments[0])}, ZONE).{PARTS[name]})")
        named = "str" if name == "text" else f"math.{name}" if name in IN_MATH else name
        return ast.Call(_parsed(named), arguments, [])


def _is_call(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
