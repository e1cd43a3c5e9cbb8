"""How choices read: Python and YAML literals, titles, expectations, and the notes for the user."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Any

import yaml

from stack.authoring.scaffold.choices import Choices

WIDTH = 120


def python(value: Any, indent: int = 0, before: str = "") -> str:
    """A literal as ruff formats it: on one line, or an item a line where that is longer than a line may be."""
    items = _items(value)
    if items is None:
        return _scalar(value)
    opened, closed = ("{", "}") if isinstance(value, Mapping) else ("[", "]")
    line = f"{opened}{', '.join(items)}{closed}"
    if indent + len(before) + len(line) <= WIDTH - 12 or not before:
        return line
    pad = " " * (indent + 4)
    return "\n".join([opened, *(f"{pad}{item}," for item in items), f"{' ' * indent}{closed}"])


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def title(c: Choices) -> str:
    """The question that the project answers."""
    return c.kind.question(c.target.source, c.classes)


def what(c: Choices) -> str:
    """The project in a few words."""
    when = f"in the order of `{c.time.source}`" if c.time else "without time"
    known = f", with the past of {', '.join(f'`{one.source}`' for one in c.keys)}" if c.keys else ""
    return f"{c.task} of `{c.target.source}`, {when}{known}"


def notes(c: Choices, suspects: Mapping[str, float], units: Iterable[str]) -> list[str]:
    """What was chosen and why, and what to look at.

    Args:
        suspects: columns that explain the target nearly alone, with the share that they explain.
        units: columns whose numbers are texts, as they have a unit.
    """
    said = [f"`{c.target.source}` is predicted ({c.task}{_classes(c)})."]
    if c.time is None:
        said.append("There is no time: rows are held out at random, and all features come with the request.")
    else:
        zone = "" if c.time.zoned else f"; it names no zone, {c.zone} is taken (`ZONE` in `source.py`)"
        said.append(f"`{c.time.source}` says when a row is asked about, and when its outcome is known{zone}.")
        if "%" in c.time.parsing:
            said.append(
                f"`{c.time.source}` is read{c.time.parsing.replace(', format=', ' as ')}, like {c.time.example}."
            )
        clock = "is replayed: its last row is old" if c.replayed else "runs on the wall clock, with schedules"
        said.append(f"The project {clock}.")
    if c.keys:
        said.append(f"The past of {', '.join(f'`{one.source}`' for one in c.keys)} is averaged over earlier rows.")
    for column, why in c.left_out.items():
        said.append(f"`{column}` is left out: {why}.")
    for column in units:
        said.append(
            f"**Review** `{column}`: numbers with a unit are text to a model. To use them, make numbers of them in the "
            f"file, and write the project anew."
        )
    for column, share in suspects.items():
        said.append(
            f"**Review** `{column}`: alone it explains {share:.1%} of the target. If it is only known afterwards, "
            "take it out of `request`, `features.py` and the Feast module."
        )
    return said


def expectations(c: Choices) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    """The lines of ``suites()``, learnt from the columns, and the sets that are too long for a line."""
    lines, sets = ["*map(present, WHOLE),"], []
    for one in [c.target, *c.features]:
        if one.missing:
            lines.append(f'present("{one.name}", missing={min(0.99, round(one.missing + 0.2, 2))}),  # review')
        if one is c.target and c.classes:
            lines.append(f'among("{one.name}", {python(c.classes)}, strictly=True),')
        elif one.kind == "string" and one.values:
            known = python(one.values)
            if len(known) + len(one.name) > WIDTH - 50:
                sets.append((f"{one.name}s".upper(), one.values))
                known = sets[-1][0]
            lines.append(f'among("{one.name}", {known}),  # review')
        elif one.least is not None and one.most is not None and one not in c.keys:
            lines.append(_range(one.name, one.least, one.most))
    return lines, sets


def _range(name: str, least: float, most: float) -> str:
    """Half the range wider on both sides; what was never negative stays so."""
    half = (most - least) / 2
    low = max(0.0, least - half) if least >= 0 else least - half
    return f'between("{name}", {_round(low)}, {_round(most + half)}),  # review'


def _classes(c: Choices) -> str:
    if len(c.classes) == 2:
        return f"; {c.positive} is the positive outcome"
    return f" of {len(c.classes)} classes" if c.classes else ""


def _round(value: float) -> str:
    """Three significant digits."""
    if value == 0:
        return "0"
    rounded = round(value, 2 - floor(log10(abs(value))))
    return str(int(rounded) if float(rounded).is_integer() else rounded)


def _items(value: Any) -> list[str] | None:
    if isinstance(value, Mapping):
        return [f"{_scalar(key)}: {_scalar(one)}" for key, one in value.items()]
    return [_scalar(one) for one in value] if isinstance(value, list) else None


def _scalar(value: Any) -> str:
    items = _items(value)
    if items is not None:
        text = ", ".join(items)
        return f"{{{text}}}" if isinstance(value, Mapping) else f"[{text}]"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
