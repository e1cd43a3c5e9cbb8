"""Write a new project: its folder and its Feast module, from what was chosen."""

from __future__ import annotations

import keyword
import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stack.authoring.scaffold import files, leaks, number_formats, wording
from stack.authoring.scaffold.choices import Ask, Choices, Wishes, choose
from stack.authoring.scaffold.columns import Column, look
from stack.core.errors import StackError
from stack.specification import specs
from stack.specification.fields import TYPES, Datetime

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9_]*")
FILES = ("project.yaml", "source.py", "features.py", "checks.py", "README.md")
TEXTS = ("string", "text", "id")
HELPERS = ("among", "between", "present")
CLOCK = ("hour", "weekday", "month")
CATEGORIES = 200
"""A key of more values is no category of the model; its past still is a feature."""


@dataclass(frozen=True)
class Written:
    """What a new project became."""

    paths: list[Path]
    notes: list[str]
    lines: int
    """Of all files together."""
    to_read: int
    """Of README.md and project.yaml, and those marked for review."""


def write(name: str, file: Path, wishes: Wishes, now: datetime, ask: Ask) -> Written:
    """Look at a file and write a project that learns from it.

    Args:
        name: of the project.
        file: CSV, TSV or Parquet; it is copied into the project.
        wishes: what the user said.
        now: the present instant.
        ask: is asked what the user did not say.

    Raises:
        StackError: the name is taken or no identifier, or the file cannot be learnt from.
    """
    folder, definitions = specs.PROJECTS / name, specs.DEFINITIONS / f"{name}.py"
    _require_free(name, folder, definitions)
    source = files.Source.of(file)
    table = source.read(file)
    columns = look(table)
    choices = choose(table, columns, name, wishes, now, ask)
    units = [one.source for one in columns if one.kind in TEXTS and number_formats.has_unit(table[one.source])]
    notes = wording.notes(choices, leaks.suspects(table, choices), units)
    values = _values(name, table, choices, source) | {"notes": notes}
    texts = {folder / one: _rendered(one, values) for one in FILES}
    texts |= {folder / "__init__.py": "", definitions: _rendered("definitions.py", values)}
    (folder / "data").mkdir(parents=True)
    shutil.copyfile(file, folder / "data" / file.name)
    for path, text in texts.items():
        path.write_text(text)
    lines = [(path.suffix, line) for path, text in texts.items() for line in text.splitlines()]
    to_read = [line for suffix, line in lines if suffix in (".md", ".yaml") or "# review" in line]
    return Written([folder, definitions], notes, len(lines), len(to_read))


def _require_free(name: str, folder: Path, definitions: Path) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise StackError(
            "NAME", found=repr(name), expected="a letter, then letters, digits and _, all lower-case, like churn"
        )
    for path in (folder, definitions):
        if path.exists():
            raise StackError(str(path), found="it exists", expected="a new project", todo="choose another name")


def _rendered(template: str, values: dict[str, Any]) -> str:
    jinja = Environment(  # noqa: S701  # writes Python, YAML and Markdown, no HTML
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters |= {"py": wording.python, "yaml": wording.flow, "feast": _feast, "entity": _entity}
    return jinja.get_template(f"{template}.jinja").render(values)


def _values(name: str, table: pd.DataFrame, c: Choices, source: files.Source) -> dict[str, Any]:
    """What the templates say."""
    key = [one.name for one in c.row_key] or ["row"]
    used = [c.target, *([c.time] if c.time else []), *c.features]
    used += [one for one in c.row_key if one not in used]
    numbers = [one.name for one in c.features if one not in c.keys and one.kind != "string"]
    categories = [one.name for one in c.features if one not in c.keys and one.kind == "string"]
    key_categories = [one.name for one in c.keys if one.distinct <= CATEGORIES]
    derived = [*((one, "Float64") for one in numbers), *((one, "String") for one in categories)]
    derived += [(f"{one}_category", "String") for one in key_categories]
    derived += [(f"{c.time.name}_{what}", "Float64") for what in CLOCK] if c.time else []
    lines, sets = wording.expectations(c)
    asked = [(one.name, TYPES[_type(one)].feast) for one in c.features if one not in c.keys]
    asked += [(c.time.name, Datetime.feast)] if c.time else []
    stored = {"Float32"} | {TYPES[_type(one)].feast for one in c.keys} if c.keys else set()
    return {
        "name": name,
        "c": c,
        "title": wording.title(c),
        "what": wording.what(c),
        "file": source.name,
        "reader": source.reader,
        "options": source.options,
        "rows": f"{len(table):,}",
        "key": key,
        "ids": ' + "-" + '.join(f'rows["{one}"].astype(str)' for one in key),
        "renamed": {one.source: one.name for one in used},
        "request": _request(table, c),
        "features": [
            *((column, "number") for columns in _past(c).values() for column in columns),
            *((column, "category" if kind == "String" else "number") for column, kind in derived),
        ],
        "numbers": numbers,
        "categories": categories,
        "key_categories": key_categories,
        "averaged": _averaged(c),
        "derived": derived,
        "asked": asked,
        "samples": {one.name: [TYPES[_type(one)].sample] for one in c.keys},
        "past": _past(c),
        "services": [*(f"{one.name}_past" for one in c.keys), f"{name}_on_request"],
        "feast_types": sorted({kind for _, kind in derived + asked} | stored),
        "whole": [one.name for one in used if not one.missing and one.name not in key],
        "gaps": [one.name for one in used if one.missing],
        "constants": sets,
        "expectations": lines,
        "helpers": sorted({helper for line in lines for helper in HELPERS if helper in line}),
        **_times(table, c),
    }


def _request(table: pd.DataFrame, c: Choices) -> list[dict[str, Any]]:
    """The fields of a request, with the example of one real row: the last without a gap, if there is one."""
    names = [one.source for one in c.features]
    whole = table[table[names].notna().all(axis=1)] if names else table
    row = (whole if len(whole) else table).iloc[-1]
    fields = [{"name": one.name, "facts": _field(one, row[one.source], one in c.keys)} for one in c.features]
    if c.time is not None and c.last is not None:
        facts = {
            "type": Datetime.name,
            "description": "Instant that is asked about",
            "example": f"{c.last:%Y-%m-%dT%H:%M:%SZ}",
        }
        fields.append({"name": c.time.name, "facts": facts})
    return fields


def _field(one: Column, example: Any, is_key: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": _type(one), "description": one.source}
    value = example.item() if hasattr(example, "item") else example
    facts["example"] = None if pd.isna(value) else TYPES[facts["type"]].python(value)
    if one.missing and not is_key:
        facts["nullable"] = True
    if one.kind == "string" and one.values:
        facts["known"] = [str(value) for value in one.values]
    return facts


def _type(one: Column) -> str:
    """Type of a request field; whole numbers with gaps are read as floats."""
    if one.kind in ("number", "boolean"):
        return one.kind
    if one.kind == "integer" or (one.kind == "id" and isinstance(one.example, int)):
        return "number" if one.missing else "integer"
    return "string"


def _averaged(c: Choices) -> list[str]:
    target = [c.target.name] if c.kind.has_mean else []
    return [*target, *(one.name for one in c.averaged)] if c.keys else []


def _past(c: Choices) -> dict[str, list[str]]:
    """Key -> columns of its feature view."""
    columns = ["rows", *_averaged(c)]
    windows = _windows(c)[1]
    return {key.name: [f"{key.name}_{name}_{window}" for name in columns for window in windows] for key in c.keys}


def _windows(c: Choices) -> tuple[str, dict[str, int]]:
    """Distance of the ticks, and the windows in ticks: of days, or of hours where the data spans few days."""
    days = _span(c) / timedelta(days=1)
    if days < 14:
        return "1h", {"6h": 6, "24h": 24}
    return "1D", {"7d": 7, "28d": 28} if days >= 60 else {"1d": 1, "7d": 7}


def _span(c: Choices) -> timedelta:
    return c.last - c.first if c.first and c.last else timedelta(0)


def _times(table: pd.DataFrame, c: Choices) -> dict[str, Any]:
    """Clock, windows and the rows that a report needs."""
    tick, windows = _windows(c)
    longest = max(windows.values()) * pd.Timedelta(tick)
    days = max(1, min(14, _span(c).days // 8)) if c.time else 14
    per_window = len(table) * days / max(_span(c).days, days) if c.time else len(table)
    start = end = ""
    if c.first and c.last:
        start = (pd.Timestamp(c.first) - pd.Timedelta(seconds=1)).floor("D").strftime("%Y-%m-%dT%H:%M:%SZ")
        end = pd.Timestamp(c.last).ceil("D").strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "start": start,
        "end": end,
        "tick": tick,
        "windows": windows,
        "lookback": -(-longest // pd.Timedelta(days=1)),
        "ttl": f"days={2 if tick == '1D' else 1}" if tick == "1D" else "hours=2",
        "holdout": min(28, max(1, _span(c).days // 4)),
        "random": c.time is None or _span(c) < timedelta(days=5),
        "window": days,
        "min_rows": int(min(1000, max(20, per_window // 2))),
    }


def _feast(key: Column) -> str:
    return TYPES[_type(key)].feast


def _entity(key: Column) -> str:
    return TYPES[_type(key)].entity
