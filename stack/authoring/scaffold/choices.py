"""Target, task, time, keys and features of a new project: chosen from the columns, or as the user asks."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pandas as pd

from stack.authoring.scaffold import kinds, times
from stack.authoring.scaffold.columns import Column
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError, nearest
from stack.specification import frames, tasks
from stack.specification.tasks import Task

KEYS = re.compile(
    r"(^|_)(id|key|code|store|shop|customer|user|sensor|station|device|machine|product|item|symbol|site)$"
)
IDS = re.compile(r"(^|_)(id|uuid|guid|no|nr|number)$")
AVERAGED = 4
"""Number columns whose past is averaged for each key, besides the target."""
LEAST_OF_KEY = 4
"""Rows that a key has on average: of fewer there is no past to learn from."""
MOST_KEYS = 20_000
"""A column of more values is no key unless the user names it: the past of each is computed at every tick."""
RECENT = timedelta(days=7)
MANY, OFTEN = 20, 20
"""An id of more values, each of which has fewer rows on average, is no category."""
NONE = "none"
REASONS: dict[str, str] = {
    "constant": "it has one value",
    "list": "it holds lists",
    "empty": "it has no value",
    "name": "it has too many values, of few words each",
}
"""Kind of a column -> why it is no feature."""

Ask = Callable[[str, str, Sequence[str]], str]
"""Question, default, possible answers -> answer."""


@dataclass(frozen=True)
class Choices:
    """Target, task, time, keys and features of a project."""

    target: Column
    task: str
    classes: list[Any]
    time: Column | None
    known: Column | None
    """When the outcome of a row is known; None where that is when it is asked about."""
    zone: str
    keys: list[Column]
    row_key: list[Column]
    """Columns that identify a row; empty where only its number in the file does."""
    features: list[Column]
    averaged: list[Column]
    left_out: dict[str, str] = field(default_factory=dict)
    """Column of the file -> why."""
    leaks: dict[str, str] = field(default_factory=dict)
    """Column that is left out as it gives the target away -> how."""
    group: Column | None = None
    """Whose rows of the same value are held out together."""
    grouped: str = ""
    """Why."""
    later: list[Column] = field(default_factory=list)
    """Of a forecast: what is known up to the instant of a question."""
    every: timedelta | None = None
    """Of a forecast: how far apart its values are."""
    steps: int = 0
    """Of a forecast."""
    series: timedelta | None = None
    """How far apart the values are of a series whose next steps are not forecast."""
    replayed: bool = False
    first: datetime | None = None
    last: datetime | None = None

    @property
    def kind(self) -> type[Task]:
        """Return the class of the task."""
        return tasks.KINDS[self.task]

    @property
    def title(self) -> str:
        """Return the question that the project answers."""
        return self.kind.question(self.target.source, self.classes)

    @property
    def span(self) -> timedelta:
        """Return the time from the first row to the last; none without time."""
        return self.last - self.first if self.first and self.last else timedelta(0)

    @property
    def dated(self) -> list[Column]:
        """Return the features that are instants."""
        return [column for column in self.features if column.kind == "datetime"]

    @property
    def positive(self) -> Any:
        """Return the positive class of a binary task; None for other tasks."""
        return self.classes[1] if len(self.classes) == 2 else None


def choose(
    table: pd.DataFrame, columns: list[Column], target: Column, wishes: Wishes, now: datetime, ask: Ask
) -> Choices:
    """Choose task, time, keys and features of a project that predicts a target from the columns of a table.

    Args:
        now: a table whose last row is long before this is replayed.
        ask: asks the user for what `wishes` leaves open.
    """
    task, classes = kinds.of(table[target.source], target, wishes)
    time = _time(table, columns, target, wishes, ask)
    known = _known(table, columns, time, wishes, ask) if time else None
    others = [column for column in columns if column not in (target, time) and not column.parts]
    spread = {*time.parts.values()} if time else set()
    possible = [column for column in others if column is not known and column.source not in spread]
    keys = _keys(len(table), possible, time, wishes, ask)
    zone = _zone(time, wishes, ask)
    at = time.instants(table, zone) if time else None
    left_out = {column.source: reason for column in others if (reason := _reason(column, keys, time, known, wishes))}
    dated = [column for column in others if column.kind == "datetime" and column.source not in left_out]
    left_out |= times.unused(table, dated, zone, at, wishes.kept)
    features = [column for column in others if column.source not in left_out]
    end = at if known is None else known.instants(table, zone)
    choices = Choices(
        target=target,
        task=task,
        classes=classes,
        time=time,
        known=known,
        zone=zone,
        keys=keys,
        row_key=_row_key(table, others, keys, time, at),
        features=[],
        averaged=[],
        replayed=at is not None and at.max() < pd.Timestamp(now) - RECENT,
        first=None if at is None else at.min().floor("us").to_pydatetime(),
        last=None if end is None else end.max().floor("us").to_pydatetime(),
    )
    return with_features(choices, features, left_out, {})


def with_features(choices: Choices, features: list[Column], left_out: dict[str, str], leaks: dict[str, str]) -> Choices:
    """Return choices with these features; for keys, the past of the first of their numbers is averaged."""
    numbers = [column for column in features if column.kind in ("number", "integer") and column not in choices.keys]
    averaged = numbers[:AVERAGED] if choices.keys else []
    return replace(
        choices,
        features=features,
        averaged=averaged,
        left_out=choices.left_out | left_out,
        leaks=choices.leaks | leaks,
    )


def named(columns: Sequence[Column], name: str, option: str) -> Column:
    """Return the column of a name, as in the file or as in the project."""
    called = [column for column in columns if name.strip() in (column.source.strip(), column.name)]
    if not called:
        known = [column.source for column in columns]
        raise StackError(
            option,
            found=f"no column {name!r}{nearest(name, known)}",
            expected=f"one of {', '.join(known)}",
            todo=f"set {option}=... to the name of a column",
        )
    return called[0]


def _time(table: pd.DataFrame, columns: list[Column], target: Column, wishes: Wishes, ask: Ask) -> Column | None:
    dated = [column for column in dates(columns) if column is not target]
    answer = wishes.time or NONE
    if dated and not wishes.time:
        default = likely.source if (likely := times.asked(table, dated)) else NONE
        answer = ask(
            "Which column holds the instant at which a row is asked about?", default, [*times.sources(dated), NONE]
        )
    if answer == NONE:
        return None
    return _dated(columns, ", ".join(part.strip() for part in answer.split(",")), "TIME")


def _known(table: pd.DataFrame, columns: list[Column], time: Column, wishes: Wishes, ask: Ask) -> Column | None:
    later = times.known(table, time, dates(columns))
    answer = wishes.known or NONE
    if later and not wishes.known:
        known = [*times.sources(column for column in dates(columns) if column is not time), NONE]
        answer = ask("Which column holds the instant at which its outcome is known?", later.source, known)
    return None if answer == NONE else _dated(columns, answer, "KNOWN")


def dates(columns: list[Column]) -> list[Column]:
    """Return the columns that hold an instant in every row."""
    return [column for column in columns if column.kind == "datetime" and not column.missing and not column.unread]


def _dated(columns: list[Column], name: str, option: str) -> Column:
    column = named(columns, name, option)
    if column not in dates(columns):
        raise StackError(
            f"{option}={name}",
            found=f"{column.kind}, {column.missing + column.unread:.1%} missing or no date, like {column.example!r}",
            expected="a date or an instant in every row",
            todo=f"name another column, or {option}={NONE}",
        )
    return column


def _zone(time: Column | None, wishes: Wishes, ask: Ask) -> str:
    """Return the zone of the file's instants, and of the local clock."""
    question = f"In which time zone are the values of {time.source}?" if time and not time.zoned else ""
    zone = wishes.zone or (ask(question, "UTC", []) if question else "UTC")
    if zone not in available_timezones():
        found = f"{zone!r}{nearest(zone, available_timezones())}"
        raise StackError("ZONE", found=found, expected="the name of a time zone, like Europe/Berlin")
    return zone


def _keys(rows: int, others: list[Column], time: Column | None, wishes: Wishes, ask: Ask) -> list[Column]:
    """Return the columns whose values have a past of their own."""
    if time is None:
        if wishes.keys not in (None, NONE):
            todo = "name the column of its instant with TIME, or leave KEYS out"
            raise StackError(f"KEYS={wishes.keys}", found="a table without time", expected="rows in time", todo=todo)
        return []
    whole = [column for column in others if column.kind in ("string", "integer", "id", "name") and not column.missing]
    suitable = [column for column in whole if 2 <= column.distinct <= rows / LEAST_OF_KEY]
    few = [column for column in suitable if column.distinct <= MOST_KEYS]
    likely = [column for column in few if KEYS.search(column.name)]
    likely = likely or [column for kind in ("id", "string") for column in few if column.kind == kind]
    default = likely[0].source if likely else NONE
    answer = wishes.keys or NONE
    if suitable and not wishes.keys:
        answer = ask("Whose past is known (several: a,b)?", default, [*times.sources(suitable), NONE])
    return [] if answer == NONE else [named(others, key.strip(), "KEYS") for key in answer.split(",")]


def _reason(column: Column, keys: list[Column], time: Column | None, known: Column | None, wishes: Wishes) -> str:
    """Return why a column is no feature; empty when it is a feature."""
    if column is known:
        return "it is when the outcome is known"
    if time and column.source in time.parts.values():
        return f"it is a part of {time.source}, of which hour, weekday and month are features"
    if column.kind == "datetime" and (not column.missing or column.source in wishes.kept):
        return ""
    names_rows = IDS.search(column.name) and column.distinct > max(MANY, column.present / OFTEN)
    if column in keys or (column.usable and not names_rows):
        return ""
    if column.kind == "datetime":
        missing = f"it is an instant, missing in {column.missing:.1%} of the rows, which may tell what happened since"
        return f"{missing} (KEEP= where it is known when asked)"
    if column.kind == "id" and column.distinct < column.present:
        past = f"; with KEYS={column.source} the past of each is used" if time else ""
        return f"it is an id of {column.distinct:,} values{past}"
    return REASONS.get(column.kind, "it only names the row")


def _row_key(
    table: pd.DataFrame, others: list[Column], keys: list[Column], time: Column | None, at: pd.Series | None
) -> list[Column]:
    """Return the columns that identify a row: an id, or the keys and the time."""
    unique = [column for column in others if not column.missing and column.distinct == len(table)]
    for column in sorted(unique, key=lambda column: column.kind != "id"):
        if column.kind in ("id", "integer", "string"):
            return [column]
    if time is None or at is None:
        return []
    several = frames.with_columns(table[times.sources(keys)], {time.source: at})
    return [] if several.duplicated().any() else [*keys, time]
