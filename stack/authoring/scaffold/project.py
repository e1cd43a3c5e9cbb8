"""Write a new project: its folder and its Feast module, from what was chosen."""

import keyword
import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stack.authoring.scaffold import files, leaking, targets, times, wording
from stack.authoring.scaffold.choices import Ask, Choices, Wishes, choose
from stack.authoring.scaffold.columns import look
from stack.core.errors import StackError
from stack.specification import specs
from stack.specification.fields import Datetime

TEMPLATES = Path(__file__).parent / "templates"
NAME = re.compile(r"[a-z][a-z0-9_]*")
FILES = ("project.yaml", "source.py", "features.py", "checks.py", "README.md")
TEXTS = ("string", "text", "id")
HELPERS = ("among", "between", "present")
CLOCK = ("hour", "weekday", "month")
HELD_OUT = 200
"""Rows by time that a gate decides on, where a quarter of the time has them; fewer give a wide interval."""
CATEGORIES = 200
"""A key of more values is no category of the model; its past still is a feature."""


@dataclass(frozen=True)
class Written:
    """Paths, notes and size of a new project."""

    paths: list[Path]
    notes: list[str]
    lines: int
    """Of all files together."""
    to_read: int
    """Of README.md and project.yaml, and those marked for review."""


def write(name: str, file: Path, wishes: Wishes, now: datetime, ask: Ask | None) -> Written:
    """Write the project of a name that learns from a CSV, TSV or Parquet file; the file is copied into the project.

    Args:
        ask: asks the user for what `wishes` leaves open; where it is None, the likeliest is taken, but no target.

    Raises:
        StackError: the name is taken or no identifier, the file cannot be learnt from, or no target is named.
    """
    folder, definitions = specs.PROJECTS / name, specs.DEFINITIONS / f"{name}.py"
    _require_free(name, folder, definitions)
    source = files.Source.of(file)
    table = source.read(file)
    columns = look(table)
    target = targets.choose(columns, name, file, wishes, ask)
    if (spread := times.joined(table, columns)) and target.source not in spread[0].parts:
        columns.append(spread[0])
        table = table.assign(**{spread[0].source: spread[1]})
    choices = choose(table, columns, target, wishes, now, ask or (lambda _, default, __: default))
    choices = leaking.left_out(table, choices, [column.strip() for column in (wishes.keep or "").split(",")])
    texts = [column.source for column in columns if column.kind in TEXTS]
    units = [text for text in texts if files.has_unit(table[text])]
    notes = wording.notes(choices, units)
    values = _values(name, table, choices, source) | {"notes": notes}
    contents = {folder / file_name: _render(file_name, values) for file_name in FILES}
    contents |= {folder / "__init__.py": "", definitions: _render("definitions.py", values)}
    (folder / "data").mkdir(parents=True)
    shutil.copyfile(file, folder / "data" / file.name)
    for path, text in contents.items():
        path.write_text(text)
    lines = [(path.suffix, line) for path, text in contents.items() for line in text.splitlines()]
    to_read = [line for suffix, line in lines if suffix in (".md", ".yaml") or "# review" in line]
    return Written([folder, definitions], notes, len(lines), len(to_read))


def remove(written: Written) -> None:
    """Remove a new project."""
    for path in written.paths:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _require_free(name: str, folder: Path, definitions: Path) -> None:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        expected = "a letter, then letters, digits and _, all lower-case, like churn"
        raise StackError("NAME", found=repr(name), expected=expected)
    for path in (folder, definitions):
        if path.exists():
            raise StackError(str(path), found="it exists", expected="a new project", todo="choose another name")


def _render(template: str, values: dict[str, Any]) -> str:
    jinja = Environment(  # noqa: S701  # writes Python, YAML and Markdown, no HTML
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    jinja.filters |= {
        "py": wording.python,
        "yaml": wording.flow,
        "line": wording.line,
        "code": wording.code,
        "instant": wording.instant,
        "feast": lambda column: column.field_type.feast,
        "entity": lambda column: column.field_type.entity,
    }
    return jinja.get_template(f"{template}.jinja").render(values)


def _values(name: str, table: pd.DataFrame, choices: Choices, source: files.Source) -> dict[str, Any]:
    """Return the values that the templates insert."""
    key = [column.name for column in choices.row_key] or ["row"]
    dates = [column for column in (choices.time, choices.known) if column]
    used = [choices.target, *([choices.time] if choices.time else []), *choices.features]
    used += [column for column in choices.row_key if column not in used]
    expectations, constants = wording.expectations(choices)
    tick, windows = _windows(choices)
    averaged = [column.name for column in choices.averaged]
    averaged = [choices.target.name, *averaged] if choices.keys and choices.kind.has_mean else averaged
    past = {
        key.name: [f"{key.name}_{name}_{window}" for name in ["rows", *averaged] for window in windows]
        for key in choices.keys
    }
    return {
        "name": name,
        "choices": choices,
        "naive": any(not column.zoned for column in dates),
        "zoned": any(column.zoned for column in dates),
        "what": wording.what(choices),
        "source": source,
        "rows": f"{len(table):,}",
        "key": key,
        "ids": ' + "-" + '.join(f'rows["{column}"].astype(str)' for column in key),
        "renamed": {column.source: column.name for column in used if not column.parts},
        "request": _request(table, choices),
        "averaged": averaged,
        "past": past,
        "services": [*(f"{column.name}_past" for column in choices.keys), f"{name}_on_request"],
        "whole": [column.name for column in used if not column.missing and column.name not in key],
        "gaps": [column.name for column in used if column.missing],
        "constants": constants,
        "expectations": expectations,
        "helpers": sorted({helper for line in expectations for helper in HELPERS if helper in line}),
        "tick": tick,
        "windows": windows,
        **_features(choices, past),
        **_times(table, choices, max(windows.values()) * pd.Timedelta(tick)),
    }


def _features(choices: Choices, past: dict[str, list[str]]) -> dict[str, Any]:
    """Return the features that follow from a request, and their Feast types."""
    others, time = [column for column in choices.features if column not in choices.keys], choices.time
    numbers = [column.name for column in others if column.kind != "string"]
    categories = [column.name for column in others if column.kind == "string"]
    key_categories = [column.name for column in choices.keys if column.distinct <= CATEGORIES]
    derived = [*((name, "Float64") for name in numbers), *((name, "String") for name in categories)]
    derived += [(f"{key}_category", "String") for key in key_categories]
    derived += [(f"{time.name}_{part}", "Float64") for part in CLOCK] if time else []
    asked = [(column.name, column.field_type.feast) for column in others]
    asked += [(time.name, Datetime.feast)] if time else []
    stored = {"Float32", *(key.field_type.feast for key in choices.keys)} if choices.keys else set()
    return {
        "features": [
            *((column, "number") for columns in past.values() for column in columns),
            *((column, "category" if kind == "String" else "number") for column, kind in derived),
        ],
        "numbers": numbers,
        "categories": categories,
        "key_categories": key_categories,
        "derived": derived,
        "asked": asked,
        "samples": {key.name: [key.field_type.sample] for key in choices.keys},
        "feast_types": sorted({kind for _, kind in derived + asked} | stored),
    }


def _request(table: pd.DataFrame, choices: Choices) -> list[dict[str, Any]]:
    """Return the fields of a request, with the example of one row: the last without a gap, if there is one."""
    sources = [column.source for column in choices.features]
    whole = np.flatnonzero(table[sources].notna().all(axis=1))
    row = table.iloc[whole[-1] if len(whole) else -1]
    fields = []
    for column in choices.features:
        kind, value = column.field_type, row[column.source]
        value = None if pd.isna(value) else kind.python(value.item() if hasattr(value, "item") else value)
        facts: dict[str, Any] = {"type": kind.name, "description": column.source, "example": value}
        facts |= {"nullable": True} if column.missing and column not in choices.keys else {}
        facts |= {"known": list(map(str, column.values))} if column.kind == "string" and column.values else {}
        fields.append({"name": column.name, "facts": facts})
    if choices.time is not None and choices.last is not None:
        facts = {"type": Datetime.name, "description": "Instant that is asked about"}
        facts["example"] = f"{choices.last:%Y-%m-%dT%H:%M:%SZ}"
        fields.append({"name": choices.time.name, "facts": facts})
    return fields


def _windows(choices: Choices) -> tuple[str, dict[str, int]]:
    """Return the distance of the ticks, and the windows in ticks: of hours where the data spans few days."""
    if choices.span < timedelta(days=14):
        return "1h", {"6h": 6, "24h": 24}
    return "1D", {"7d": 7, "28d": 28} if choices.span >= timedelta(days=60) else {"1d": 1, "7d": 7}


def _times(table: pd.DataFrame, choices: Choices, longest: pd.Timedelta) -> dict[str, Any]:
    """Return the clock, the spans in days and the rows that a report needs."""
    span, day = choices.span, timedelta(days=1)
    days = max(1, min(14, span.days // 8)) if choices.time else 14
    per_window = len(table) * days / max(span.days, days) if choices.time else len(table)
    start = end = ""
    if choices.first and choices.last:
        start = (pd.Timestamp(choices.first) - pd.Timedelta(seconds=1)).floor("D").strftime("%Y-%m-%dT%H:%M:%SZ")
        end = pd.Timestamp(choices.last).ceil("D").strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "start": start,
        "end": end,
        "lookback": -(-longest // day),
        "ttl": "days=2" if span >= 14 * day else "hours=2",
        "holdout": max(1, min(span.days // 4, max(28, -(-HELD_OUT * span.days // len(table))))),
        "random": choices.time is None or span < 5 * day,
        "window": days,
        "min_rows": int(min(1000, max(20, per_window // 2))),
    }
