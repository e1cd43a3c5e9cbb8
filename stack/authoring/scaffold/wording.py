"""Write choices down: YAML on a line, ranges, titles, and the notes for the user."""

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import yaml

from stack.authoring.scaffold import series
from stack.authoring.scaffold.choices import Choices
from stack.authoring.scaffold.columns import Column
from stack.kit.numbers import HOURS


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


def notes(choices: Choices, units: Iterable[str], codes: Mapping[float, Iterable[str]]) -> list[str]:
    """Return what was chosen and why, and what to review.

    Args:
        units: columns whose numbers are texts, as they have a unit.
        codes: numbers that may stand for a missing value -> the columns that have them.
    """
    classes = f" of {len(choices.classes)} classes" if choices.classes else ""
    classes = f"; {line(choices.positive)} is the positive outcome" if len(choices.classes) == 2 else classes
    lines = [f"{code(choices.target.source)} is predicted ({choices.task}{classes}).", *_time_notes(choices)]
    if choices.every:
        lines.append(f"Its next {choices.steps} values are forecast, a value each {series.words(choices.every)}.")
        if choices.later:
            lines.append(f"**Review** {_quoted(choices.later)}: known up to now. AHEAD= those that are known ahead.")
    elif choices.keys:
        lines.append(f"The past of {_quoted(choices.keys)} is averaged over earlier rows.")
    lines += _reading_notes(choices)
    lines += [
        f"**Review** {code(column)} is left out: {line(reason)}. If it is known when the question is asked, write the "
        f"project anew with KEEP={code(column)}."
        for column, reason in choices.leaks.items()
    ]
    if choices.series:
        lines.append(
            f"The rows are a series, a value each {series.words(choices.series)}: with TASK=forecast the next ones are "
            "forecast from the past alone, and from columns named with AHEAD."
        )
    if choices.group:
        of = code(choices.group.source)
        lines.append(f"The rows of each {of} are held out together: {choices.grouped}. GROUP=none splits them.")
    for reason in dict.fromkeys(choices.left_out.values()):
        names = [code(column) for column, why in choices.left_out.items() if why == reason]
        each = reason if len(names) == 1 else reason.replace("it ", "each ", 1)
        lines.append(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} left out: {line(each)}.")
    lines += [
        f"**Review** {code(column)}: numbers with different units are text to a model. To use them, convert them in "
        "the file, and write the project anew."
        for column in units
    ]
    lines += [
        f"**Review** {number:g} in {', '.join(map(code, columns))} is far from every other value. Where it stands for "
        f"a missing one, write the project anew with MISSING={number:g}."
        for number, columns in codes.items()
    ]
    return lines


def reading(source: Mapping[str, Any]) -> list[str]:
    """Return what to say of how the files of a section ``source`` are read."""
    options = source.get("options", {})
    if "sheet_name" in options:
        return [f"The rows are those of the sheet {code(options['sheet_name'])}, the first with a table."]
    if "header" not in options or options["header"] is not None:
        return []
    return [
        f"The first line holds values: the columns are called {options['names'][0]} to {options['names'][-1]}. To name "
        "them, put a line of names on top of the file, and write the project anew."
    ]


def _reading_notes(choices: Choices) -> list[str]:
    """Return which strings a model reads otherwise than value by value."""
    asked = [column for column in choices.features if column not in choices.keys]
    texts = [column for column in asked if column.kind == "text"]
    encoded = [column for column in asked if column.encoded]
    lines = [f"Free text, whose words are counted: {_quoted(texts)}."] if texts else []
    dated, days = _quoted(choices.dated), "days before the row" if choices.time else "days since 1970"
    days += ", of later ones since the one before" if len(choices.dated) > 1 and not choices.time else ""
    lines += (
        [f"**Review** {dated} must be known when a row is asked about: {days}, weekday and month are features."]
        if dated
        else []
    )
    lines += [
        f'{code(column.source)} is read as "{column.format}", like {line(column.example)}.'
        for column in (choices.time, choices.known, *choices.dated)
        if column and column.format and "%" in column.format
    ]
    if hours := [column for column in asked if column.unit == HOURS]:
        lines.append(f"In hours, so that 07:30 is 7.5: {_quoted(hours)}.")
    lines += [
        f"{code(column.source)} holds intervals: the start of each counts."
        for column in (choices.time, choices.known)
        if column and "text" in column.parts
    ]
    many = f"Of many values, each read as the mean outcome of its rows (`encode`): {_quoted(encoded)}."
    return [*lines, many] if encoded else lines


def _time_notes(choices: Choices) -> list[str]:
    time, known = choices.time, choices.known
    if time is None:
        return ["There is no time: rows are held out at random, and all features come with the request."]
    zone = "" if time.zoned else f"; it names no zone, {choices.zone} is taken (`zone` below)"
    and_known = "" if known else " and its outcome is known"
    lines = [f"{code(time.source)} is the instant at which a row is asked about{and_known}{zone}."]
    if known:
        lines.append(
            f"{code(known.source)} is when its outcome is known: it is never before {code(time.source)}, and is "
            f"called like an end. Where it is planned: KNOWN=none KEEP={code(known.source)}."
        )
    clock = "is replayed: its last row is old" if choices.replayed else "runs on the wall clock, with schedules"
    return [*lines, f"The project {clock}."]


def between(least: float, most: float) -> list[float | int]:
    """Return a range that is at least half as wide again on both sides; what was never negative stays so."""
    half = max((most - least) / 2, 1e-9 * abs(most))  # what a float still tells apart
    exponent = math.floor(math.log10(half)) if half else 0
    low, high = math.floor((least - half) / 10**exponent), math.ceil((most + half) / 10**exponent)
    return [_scaled(max(0, low) if least >= 0 else low, exponent), _scaled(high, exponent)]


def _scaled(steps: int, exponent: int) -> float | int:
    """Return so many steps of a power of ten, exactly as their decimal form is read."""
    return steps * 10**exponent if exponent >= 0 else float(Decimal(steps).scaleb(exponent))


def _quoted(columns: Iterable[Column]) -> str:
    return ", ".join(f"{code(column.source)}" for column in columns)
