"""What a new project predicts, from what, and when: chosen from the columns, or as the user says."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import pandas as pd

from stack.authoring.scaffold.columns import KNOWN, Column, instants
from stack.core.errors import StackError, nearest
from stack.specification import tasks
from stack.specification.tasks import Binary, Regression, Task

TARGETS = ("target", "label", "outcome", "class", "y", "churn", "churned", "survived", "species")
KEYS = re.compile(
    r"(^|_)(id|key|code|store|shop|customer|user|sensor|station|device|machine|product|item|symbol|site)$"
)
IDS = re.compile(r"(^|_)(id|uuid|guid|no|nr|number)$")
POSITIVE = ("yes", "y", "true", "t", "1", "positive", "churned", "bad", "fraud", "ja", "oui", "si", "sí")
FEW = 20
"""A whole-numbered target with at most so many values, each seen often, names classes."""
LEAST_OF_CLASS = 3
"""Rows that a class has on average: of fewer nothing can be learnt."""
AVERAGED = 4
"""Number columns whose past is averaged for each key, besides the target."""
MOST_KEYS = 20_000
"""A column of more values is no key unless the user says so: the past of each is computed at every tick."""
RECENT = timedelta(days=7)
NONE = "none"

Ask = Callable[[str, str, Sequence[str]], str]
"""Question, default, possible answers -> answer."""


@dataclass(frozen=True)
class Wishes:
    """What the user said; None where nothing."""

    target: str | None = None
    time: str | None = None
    keys: str | None = None
    task: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Choices:
    """What the project is about."""

    target: Column
    task: str
    classes: list[Any]
    time: Column | None
    zone: str
    keys: list[Column]
    row_key: list[Column]
    """Columns that identify a row; empty where only its number in the file does."""
    features: list[Column]
    averaged: list[Column]
    replayed: bool = False
    first: datetime | None = None
    last: datetime | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    """Column of the file -> why."""

    @property
    def kind(self) -> type[Task]:
        """The class of the task."""
        return tasks.KINDS[self.task]

    @property
    def positive(self) -> Any:
        """The outcome that is asked about, of two; None for other tasks."""
        return self.classes[1] if len(self.classes) == 2 else None


def choose(table: pd.DataFrame, columns: list[Column], name: str, wishes: Wishes, now: datetime, ask: Ask) -> Choices:
    """Choose target, task, time and keys.

    Args:
        table: the file.
        columns: what its columns hold.
        name: of the project.
        wishes: what the user said.
        now: a table whose last row is long before this is replayed.
        ask: is asked what the user did not say.
    """
    target = _target(columns, name, wishes, ask)
    task, classes = _task(table[target.source], target, wishes)
    time = _time(columns, target, wishes, ask)
    others = [one for one in columns if one not in (target, time)]
    keys = _keys(table, others, time, wishes, ask)
    left_out = {one.source: _why(one) for one in others if not _learnable(one, keys)}
    features = [one for one in others if one.source not in left_out]
    numbers = [one for one in features if one.kind in ("number", "integer") and one not in keys]
    zone = _zone(time, wishes, ask)
    at = instants(table[time.source], zone) if time else None
    return Choices(
        target=target,
        task=task,
        classes=classes,
        time=time,
        zone=zone,
        keys=keys,
        row_key=_row_key(table, others, keys, time),
        features=features,
        averaged=numbers[:AVERAGED] if keys else [],
        replayed=at is not None and at.max() < pd.Timestamp(now) - RECENT,
        first=None if at is None else at.min().floor("us").to_pydatetime(),
        last=None if at is None else at.max().floor("us").to_pydatetime(),
        left_out=left_out,
    )


def find(columns: Sequence[Column], wish: str, what: str) -> Column:
    """The column that the user names, as in the file or as in the project.

    Raises:
        StackError: there is none of this name.
    """
    for one in columns:
        if wish in (one.source, one.name):
            return one
    raise StackError(
        what,
        found=f"no column {wish!r}{nearest(wish, [one.source for one in columns])}",
        expected=f"one of {', '.join(one.source for one in columns)}",
        todo=f"say {what}=... with the name of a column",
    )


def _target(columns: list[Column], name: str, wishes: Wishes, ask: Ask) -> Column:
    usable = [one for one in columns if one.usable]
    if not usable:
        raise StackError("FROM", found="no column with values to predict", expected="a table with a target")
    named = [one for wanted in (name, *TARGETS) for one in usable if one.name == wanted]
    default = (named or usable[-1:])[0].source
    answer = wishes.target or ask("Which column is to be predicted?", default, [one.source for one in usable])
    return find(columns, answer, "TARGET")


def _task(values: pd.Series, target: Column, wishes: Wishes) -> tuple[str, list[Any]]:
    """The task that a target's values ask for, and its classes; of two the second is the positive one."""
    few = target.kind == "integer" and target.distinct <= FEW and len(values) >= 20 * target.distinct
    classed = target.distinct == 2 or target.kind in ("string", "boolean") or few
    if tasks.KINDS[wishes.task].numeric if wishes.task else not classed:
        if target.kind not in ("number", "integer"):
            raise _no_target(target, "numbers")
        return wishes.task or Regression.name, []
    if not target.values or target.distinct < 2 or values.count() < LEAST_OF_CLASS * target.distinct:
        raise _no_target(target, f"two to {KNOWN} classes, on average of at least {LEAST_OF_CLASS} rows")
    if target.distinct > 2:
        return tasks.suited(target.distinct), target.values
    return Binary.name, sorted(target.values, key=lambda one: (str(one).lower() in POSITIVE, _rarity(values, one)))


def _rarity(values: pd.Series, one: Any) -> tuple[float, str]:
    """Numbers in their order; of two texts the rarer one is what is asked about."""
    return (float(one), "") if isinstance(one, int | float) else (-float((values == one).sum()), str(one))


def _no_target(target: Column, expected: str) -> StackError:
    found = f"{target.source}: {target.kind} with {target.distinct} different values"
    return StackError("TARGET", found=found, expected=expected, todo="name another column, or TASK=regression")


def _time(columns: list[Column], target: Column, wishes: Wishes, ask: Ask) -> Column | None:
    dated = [one for one in columns if one.kind == "datetime" and not one.missing and one is not target]
    default = dated[0].source if dated else NONE
    known = [*(one.source for one in dated), NONE]
    answer = wishes.time or (ask("Which column says when?", default, known) if dated else NONE)
    if answer == NONE:
        return None
    found = find(columns, answer, "TIME")
    if found.kind != "datetime" or found.missing:
        raise StackError(
            f"TIME={answer}",
            found=f"{found.kind}, {found.missing:.1%} missing, like {found.example!r}",
            expected="a date or an instant in every row",
            todo=f"name another column, or TIME={NONE} for a table without time",
        )
    return found


def _zone(time: Column | None, wishes: Wishes, ask: Ask) -> str:
    """The zone of the file's instants, and of the local clock."""
    question = f"In which time zone are the values of {time.source}?" if time and not time.zoned else ""
    zone = wishes.zone or (ask(question, "UTC", []) if question else "UTC")
    if zone not in available_timezones():
        found = f"{zone!r}{nearest(zone, available_timezones())}"
        raise StackError("ZONE", found=found, expected="the name of a time zone, like Europe/Berlin")
    return zone


def _keys(table: pd.DataFrame, others: list[Column], time: Column | None, wishes: Wishes, ask: Ask) -> list[Column]:
    """Columns whose values have a past of their own: only where there is time."""
    if time is None:
        return []
    rows = len(table)
    fit = [
        one
        for one in others
        if one.kind in ("string", "integer", "id", "text") and not one.missing and 2 <= one.distinct <= rows / 5
    ]
    few = [one for one in fit if one.distinct <= MOST_KEYS]
    likely = [one for one in few if KEYS.search(one.name)] or [one for one in few if one.kind == "string"]
    default = likely[0].source if likely else NONE
    known = [*(one.source for one in fit), NONE]
    answer = wishes.keys or (ask("Whose past is known (several: a,b)?", default, known) if fit else NONE)
    return [] if answer == NONE else [find(others, one.strip(), "KEYS") for one in answer.split(",")]


def _learnable(one: Column, keys: list[Column]) -> bool:
    return one in keys or (one.usable and not (IDS.search(one.name) and one.distinct > FEW))


def _why(one: Column) -> str:
    """Why a model is not given a column."""
    if one.kind == "datetime" and one.missing:
        return f"it is an instant, missing in {one.missing:.1%} of the rows, so it cannot say when a row was asked"
    return {
        "constant": "it has one value",
        "empty": "it has no value",
        "text": "it is free text or has too many values",
        "datetime": "it is another instant; derive a feature from it in features.py if it is known when asked",
    }.get(one.kind, "it only names the row")


def _row_key(table: pd.DataFrame, others: list[Column], keys: list[Column], time: Column | None) -> list[Column]:
    """Columns that tell the rows apart: an id, or the keys and the time."""
    named = [one for one in others if not one.missing and one.distinct == len(table)]
    for one in sorted(named, key=lambda one: one.kind != "id"):
        if one.kind in ("id", "integer", "string"):
            return [one]
    several = [*keys, time] if time else []
    if several and not table.duplicated([one.source for one in several]).any():
        return several
    return []
