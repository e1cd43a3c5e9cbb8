"""Write choices down: Python and YAML literals, titles, expectations, and the notes for the user."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from stack.authoring.scaffold.choices import Choices
from stack.authoring.scaffold.columns import Column

WIDTH = 120


def python(value: Any, indent: int = 0, before: str = "") -> str:
    """Return a literal as ruff formats it: on one line, or an item a line where that is too long."""
    if isinstance(value, Mapping):
        items, (opening, closing) = [f"{python(key)}: {python(item)}" for key, item in value.items()], "{}"
    elif isinstance(value, list):
        items, (opening, closing) = [python(item) for item in value], "[]"
    else:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
    line = f"{opening}{', '.join(items)}{closing}"
    if indent + len(before) + len(line) <= WIDTH - 12 or not before:
        return line
    pad = " " * (indent + 4)
    return "\n".join([opening, *(f"{pad}{item}," for item in items), f"{' ' * indent}{closing}"])


def flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()


def line(text: Any) -> str:
    """Return a text of the file on one line, without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(str(text).split()))


def code(text: str) -> str:
    """Return the name of a column or file as a word of Markdown."""
    return "`" + line(text).replace("`", "'") + "`"


def what(choices: Choices) -> str:
    """Return a short description of the project."""
    when = f"in the order of {code(choices.time.source)}" if choices.time else "without time"
    known = f", with the past of {_quoted(choices.keys)}" if choices.keys else ""
    return f"{choices.task} of {code(choices.target.source)}, {when}{known}"


def notes(choices: Choices, suspects: Mapping[str, float], units: Iterable[str]) -> list[str]:
    """Return what was chosen and why, and what to review.

    Args:
        suspects: columns that explain the target nearly alone, with the share that they explain.
        units: columns whose numbers are texts, as they have a unit.
    """
    classes = f" of {len(choices.classes)} classes" if choices.classes else ""
    classes = f"; {line(choices.positive)} is the positive outcome" if len(choices.classes) == 2 else classes
    lines = [f"{code(choices.target.source)} is predicted ({choices.task}{classes}).", *_time_notes(choices)]
    if choices.keys:
        lines.append(f"The past of {_quoted(choices.keys)} is averaged over earlier rows.")
    lines += [f"{code(column)} is left out: {reason}." for column, reason in choices.left_out.items()]
    lines += [
        f"**Review** {code(column)}: numbers with a unit are text to a model. To use them, convert them to numbers in "
        "the file, and write the project anew."
        for column in units
    ]
    lines += [
        f"**Review** {code(column)}: alone it explains {share:.1%} of the target. If it is only known afterwards, take "
        "it out of `request`, `features.py` and the Feast module."
        for column, share in suspects.items()
    ]
    return lines


def _time_notes(choices: Choices) -> list[str]:
    time = choices.time
    if time is None:
        return ["There is no time: rows are held out at random, and all features come with the request."]
    zone = "" if time.zoned else f"; it names no zone, {choices.zone} is taken (`ZONE` in `source.py`)"
    lines = [f"{code(time.source)} is the instant at which a row is asked about and its outcome is known{zone}."]
    if time.format and "%" in time.format:
        lines.append(f'{code(time.source)} is read as "{time.format}", like {time.example}.')
    clock = "is replayed: its last row is old" if choices.replayed else "runs on the wall clock, with schedules"
    return [*lines, f"The project {clock}."]


def expectations(choices: Choices) -> tuple[list[str], list[tuple[str, list[Any]]]]:
    """Return the lines of ``suites()``, learnt from the columns, and the lists that are too long for a line."""
    lines, constants = ["*map(present, WHOLE),"], []
    for column in [choices.target, *choices.features]:
        if column.missing:
            lines.append(f'present("{column.name}", missing={min(0.99, round(column.missing + 0.2, 2))}),  # review')
        if column is choices.target and choices.classes:
            lines.append(f'among("{column.name}", {python(choices.classes)}, strictly=True),')
        elif column.kind == "string" and column.values:
            known = python(column.values)
            if len(known) + len(column.name) > WIDTH - 50:
                constants.append((f"KNOWN_{column.name}".upper(), column.values))
                known = constants[-1][0]
            lines.append(f'among("{column.name}", {known}),  # review')
        elif column.least is not None and column.most is not None and column not in choices.keys:
            lines.append(_range(column.name, column.least, column.most))
    return lines, constants


def _range(name: str, least: float, most: float) -> str:
    """Return an expectation half the range wider on both sides; what was never negative stays so."""
    half = (most - least) / 2
    low = max(0.0, least - half) if least >= 0 else least - half
    return f'between("{name}", {_round(low)}, {_round(most + half)}),  # review'


def _round(value: float) -> str:
    """Return a number with three significant digits."""
    rounded = float(f"{value:.3g}")
    return str(int(rounded) if rounded.is_integer() else rounded)


def _quoted(columns: Iterable[Column]) -> str:
    return ", ".join(f"{code(column.source)}" for column in columns)
