"""Write a new project, one project.yaml and its data, from what was chosen."""

import keyword
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stack.authoring import templates
from stack.authoring.scaffold import codes, groups, leaking, origins, series, spans, targets, times, units, wording
from stack.authoring.scaffold.choices import Ask, Choices, choose
from stack.authoring.scaffold.columns import Column, look
from stack.authoring.scaffold.origins import Origin
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.core.settings import settings
from stack.specification import specs
from stack.specification.fields import Datetime
from stack.specification.forecasts import DAY

TEMPLATE = Path(__file__).parent / "templates" / "project.yaml.jinja"
TEXTS = ("string", "text", "name", "id")
SHOWN = 200
"""Characters of a text that are its example."""
CLOCK, CALENDAR = ("hour", "weekday", "month"), ("weekday", "month")
"""Parts that are features: of the instant of a row, and of others."""
SETTLED = ("sql", "http")
"""Sources in which a row may appear a moment after its instant."""
CATEGORIES = 200
"""A key of more values is no category of the model; its past still is a feature."""


@dataclass(frozen=True)
class Written:
    """Folder, notes and size of a new project."""

    folder: Path
    notes: list[str]
    lines: int
    """Of project.yaml."""
    to_read: int
    """Those with a comment."""
    heard: bool
    """Whether messages of a broker are its first rows."""


@dataclass(frozen=True)
class Understood:
    """Rows, and what was understood of them."""

    origin: Origin
    table: pd.DataFrame
    columns: list[Column]
    choices: Choices
    notes: list[str]


def understand(name: str, place: str | Path, wishes: Wishes, now: datetime, ask: Ask | None) -> Understood:
    """Read the rows of a place, and choose what a project that learns from them predicts, and from what.

    Args:
        place: a file, a folder, a URL, or a key of ``.env`` that holds one.
        ask: asks the user for what `wishes` leaves open; where it is None, the likeliest is taken, but no target.

    Raises:
        StackError: the name is taken or no identifier, the rows cannot be learnt from, or no target is named.
    """
    folder = settings().projects / name
    require_free(name, folder)
    origin = origins.of(str(place), folder, wishes, now)
    table, unit_of = units.without(origin.table, origin.section.get("options", {}).get("decimal", "."))
    columns = [replace(column, unit=unit_of.get(column.source, "")) for column in look(table)]
    spread = times.joined(table, columns)
    table, columns = units.in_hours(table, columns, spread[0].parts.values() if spread else ())
    target = targets.choose(columns, name, place, wishes, ask)
    if spread and target.source not in spread[0].parts.values():
        columns.append(spread[0])
        table = table.assign(**{spread[0].source: spread[1]})
    choices = choose(table, columns, target, wishes, now, ask or (lambda _, default, __: default))
    choices = series.recognised(table, columns, choices, wishes)
    choices = groups.held_together(table, columns, choices, wishes)
    choices = leaking.left_out(table, choices, wishes.kept)
    targets.require_learnable(choices)
    texts = [column.source for column in columns if column.kind in TEXTS]
    unread = [text for text in texts if units.has_unit(table[text])]
    coded = codes.missing(table, [*choices.features, *choices.later, choices.target])
    notes = [*wording.reading(origin.section), *wording.notes(choices, unread, coded)]
    return Understood(origin, table, columns, choices, notes)


def write(name: str, place: str | Path, wishes: Wishes, now: datetime, ask: Ask | None) -> Written:
    """Write the project of a name that learns from the rows of a place; a file is copied into the project.

    The arguments and errors are those of :func:`understand`.
    """
    understood = understand(name, place, wishes, now, ask)
    folder, origin, notes = settings().projects / name, understood.origin, understood.notes
    values = _values(name, understood.table, understood.choices, origin)
    choices = understood.choices
    if choices.time and not choices.group and values["training"].get("split") == "random":
        notes = [*notes, "Rows are held out at random: by time, the last days would decide on few rows or outcomes."]
    values |= {"notes": notes}
    text = templates.filled(TEMPLATE, values, yaml=wording.flow, line=wording.line)
    folder.mkdir(parents=True)
    if origin.copied:
        (folder / "data").mkdir()
        shutil.copyfile(origin.copied, folder / "data" / origin.copied.name)
    (folder / "project.yaml").write_text(text)
    origin.keep(name)
    lines = text.splitlines()
    return Written(folder, notes, len(lines), sum("#" in line for line in lines), bool(origin.heard))


def remove(written: Written) -> None:
    """Remove a new project."""
    shutil.rmtree(written.folder)
    if written.heard:
        origins.discard(written.folder.name)


def require_free(name: str, folder: Path) -> None:
    """Raise a StackError where a project cannot have a name, or another one has it."""
    if not re.fullmatch(specs.NAME, name) or keyword.iskeyword(name):
        expected = "a letter, then letters, digits and _, all lower-case, like churn"
        raise StackError("NAME", found=repr(name), expected=expected)
    for path in (folder, settings().definitions / f"{name}.py"):
        if path.exists():
            todo = f"choose another name, or `make remove PROJECT={name}`"
            raise StackError(str(path), found="it exists", expected="a new project", todo=todo)
    if (settings().lake / name).exists():
        raise StackError(
            f"project {name}",
            found="data of an earlier project of this name",
            expected="a new project",
            todo=f"choose another name, or `make remove PROJECT={name}`",
        )


def _values(name: str, table: pd.DataFrame, choices: Choices, origin: Origin) -> dict[str, Any]:
    """Return the values that the template inserts."""
    hourly = choices.every < DAY if choices.every else choices.span < 14 * DAY
    dates = [column for column in (choices.time, choices.known, *choices.dated) if column]
    identified = [column.name for column in choices.row_key] if choices.row_key != _ids(choices) else []
    source = origin.section | ({"key": identified} if identified else {})
    source |= {"zone": choices.zone} if any(not column.zoned for column in dates) else {}
    if not choices.time:
        source.pop("history", None)
    source |= {"settled": "PT1M"} if source.get("kind") in SETTLED and dates and not choices.replayed else {}
    cron = ("15 * * * *" if hourly else "5 0 * * *") if choices.keys or choices.every else "0 4 * * *"
    zone = {} if choices.keys else {"timezone": choices.zone}
    return {
        "name": name,
        "choices": choices,
        "what": wording.what(choices),
        "source": source,
        "origin": origin.name,
        "rows": f"{len(table):,}",
        "columns": _columns(table, choices),
        "formulas": _formulas(table, choices),
        "forecast": {"every": series.words(choices.every), "steps": choices.steps} if choices.every else None,
        "schedules": zone | {"ingest": cron, "monitor": "30 4 * * *"} | _asked(choices),
        **spans.of(table, choices),
    }


def _asked(choices: Choices) -> dict[str, str]:
    """Return when a forecast is made by itself: where nothing has to be sent with a request."""
    if not choices.every or choices.features != choices.keys:
        return {}
    return {"predict": "20 * * * *" if choices.every < DAY else "30 0 * * *"}


def _columns(table: pd.DataFrame, choices: Choices) -> dict[str, dict[str, Any]]:
    """Return the section ``columns``, with the example of one row: the last without a gap, if there is one."""
    plain = [column.source for column in choices.features]
    whole = np.flatnonzero(table[plain].notna().all(axis=1))
    row = table.iloc[whole[-1] if len(whole) else -1]
    described: dict[str, dict[str, Any]] = {}
    for column in choices.features:
        kind, value = column.field_type, row[column.source]
        if pd.isna(value):
            value = None
        elif column in choices.dated:
            value = f"{column.instants(table.loc[[row.name]], choices.zone).iloc[0]:{spans.SECONDS}}"
        else:
            value = kind.python(value.item() if hasattr(value, "item") else value)
        value = value[:SHOWN] if kind.name == "text" and value else value
        key = {"type": "string" if kind.name == "text" else kind.name, "role": "key"}
        described[column.name] = (key if column in choices.keys else {"type": kind.name}) | {"example": value}
        described[column.name] |= _facts(column, choices)
    for column in choices.later:
        described[column.name] = {"type": column.field_type.name, "role": "later"} | _facts(column, choices)
    if choices.group:
        facts = _facts(choices.group, choices)
        described[choices.group.name] = {"type": choices.group.field_type.name, "role": "group"} | facts
    target = {"type": choices.target.field_type.name} | _facts(choices.target, choices)
    ids = {
        column.name: {"type": column.field_type.name, "role": "id"} | _facts(column, choices)
        for column in _ids(choices)
    }
    return _dates(choices) | ids | described | {choices.target.name: target}


def _ids(choices: Choices) -> list[Column]:
    """Return the columns that do nothing but name the row."""
    others = [choices.time, choices.known, choices.target, *choices.features]
    return [column for column in choices.row_key if column not in others]


def _dates(choices: Choices) -> dict[str, dict[str, Any]]:
    dates: dict[str, dict[str, Any]] = {}
    for role, column in (("time", choices.time), ("known", choices.known)):
        if column is None:
            continue
        facts: dict[str, Any] = {"type": Datetime.name, "role": role}
        facts |= {"example": f"{choices.last:{spans.SECONDS}}"} if role == "time" else {}
        facts |= {"parts": column.parts} if column.parts else _renamed(column)
        facts |= _format(column)
        dates[column.name] = facts
    return dates


def _format(column: Column) -> dict[str, Any]:
    return {"format": column.format} if column.format and column.format != "ISO8601" else {}


def _renamed(column: Column) -> dict[str, Any]:
    return {"source": column.source} if column.source != column.name else {}


def _facts(column: Column, choices: Choices) -> dict[str, Any]:
    """Return what a batch's values must be, and the name in the file where it is another."""
    facts = _renamed(column) | _format(column) | ({"unit": column.unit} if column.unit else {})
    most = 0.99 if column.missing < 0.99 else 0.9999
    facts |= {"missing": min(most, round(column.missing + 0.2, 2))} if column.missing else {}
    if column is choices.group or (column is choices.target and choices.classes):
        return facts
    if column.field_type.name == "string" and column.values and column not in choices.keys:
        return facts | {"values": list(map(str, column.values))}
    if column.encoded and column in choices.features and column not in choices.keys:
        return facts | {"encode": "target"}
    ranged = column.least is not None and column.most is not None and column.kind in ("number", "integer")
    known = column in choices.keys or column in choices.row_key
    return facts | ({"between": wording.between(column.least or 0, column.most or 0)} if ranged and not known else {})


def _formulas(table: pd.DataFrame, choices: Choices) -> dict[str, str]:
    """Return the past of each key, its category, the local clock, and the days and parts of other instants."""
    if choices.every:
        return {}
    averaged = [column.name for column in choices.averaged]
    averaged = [choices.target.name, *averaged] if choices.keys and choices.kind.has_mean else averaged
    formulas: dict[str, str] = {}
    windows = spans.windows(choices)
    for key in (column.name for column in choices.keys):
        formulas |= {f"{key}_rows_{window}": f"count({window}) by {key}" for window in windows}
        for name in averaged:
            formulas |= {f"{key}_{name}_{window}": f"mean({name}, {window}) by {key}" for window in windows}
    few = [column.name for column in choices.keys if column.distinct <= CATEGORIES]
    formulas |= {f"{key}_category": f"text({key})" for key in few}
    clock = choices.time.name if choices.time else ""
    formulas |= _parts(table, choices.time, choices.zone, CLOCK) if choices.time else {}
    before = ""
    for column in spans.in_order(table, choices):
        days = f"days({column.name})"
        formulas[f"{column.name}_days"] = (
            f"days({clock}) - {days}" if clock else f"{days} - {before}" if before else days
        )
        formulas |= _parts(table, column, choices.zone, CALENDAR)
        before = days
    return formulas


def _parts(table: pd.DataFrame, column: Column, zone: str, parts: Sequence[str]) -> dict[str, str]:
    """Return the parts of an instant that differ between the rows, by the local clock."""
    local = column.instants(table, zone).dt.tz_convert(zone).dt
    varying = [part for part in parts if getattr(local, part).nunique() > 1]
    return {f"{column.name}_{part}": f"{part}({column.name})" for part in varying}
