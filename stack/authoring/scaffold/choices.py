"""Target, task, time, keys and features of a new project: chosen from the columns, or as the user asks."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

import numpy as np
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
"""A column of more values is no key unless the user names it: the past of each is computed at every tick."""
RECENT = timedelta(days=7)
NONE = "none"
SAMPLE = 20_000
SUSPECT = 0.98
"""Share of the error of a constant answer that a single column takes away."""
REASONS: dict[str, str] = {
    "constant": "it has one value",
    "empty": "it has no value",
    "text": "it is free text or has too many values",
    "datetime": "it is another instant; derive a feature from it in features.py if it is known when asked",
}
"""Kind of a column -> why it is no feature."""

Ask = Callable[[str, str, Sequence[str]], str]
"""Question, default, possible answers -> answer."""


@dataclass(frozen=True)
class Wishes:
    """What the user asked for; None where nothing."""

    target: str | None = None
    time: str | None = None
    keys: str | None = None
    task: str | None = None
    zone: str | None = None


@dataclass(frozen=True)
class Choices:
    """Target, task, time, keys and features of a project."""

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
    left_out: dict[str, str] = field(default_factory=dict)
    """Column of the file -> why."""
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
    def positive(self) -> Any:
        """Return the positive class of a binary task; None for other tasks."""
        return self.classes[1] if len(self.classes) == 2 else None


def choose(table: pd.DataFrame, columns: list[Column], name: str, wishes: Wishes, now: datetime, ask: Ask) -> Choices:
    """Choose target, task, time, keys and features of the project of a name from the columns of a table.

    Args:
        now: a table whose last row is long before this is replayed.
        ask: asks the user for what `wishes` leaves open.
    """
    target = _target(columns, name, wishes, ask)
    task, classes = _task(table[target.source], target, wishes)
    time = _time(columns, target, wishes, ask)
    others = [column for column in columns if column not in (target, time)]
    keys = _keys(len(table), others, wishes, ask) if time else []
    left_out = {column.source: reason for column in others if (reason := _reason(column, keys))}
    features = [column for column in others if column.source not in left_out]
    numbers = [column for column in features if column.kind in ("number", "integer") and column not in keys]
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
        left_out=left_out,
        replayed=at is not None and at.max() < pd.Timestamp(now) - RECENT,
        first=None if at is None else at.min().floor("us").to_pydatetime(),
        last=None if at is None else at.max().floor("us").to_pydatetime(),
    )


def suspects(table: pd.DataFrame, choices: Choices) -> dict[str, float]:
    """Return the columns that explain the target nearly alone, and the share, by a small tree, cross-validated."""
    from sklearn.model_selection import cross_val_predict
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    known = pd.Series(np.flatnonzero(table[choices.target.source].notna()))
    rows = table.iloc[known.sample(min(SAMPLE, len(known)), random_state=0)]
    regression, target = choices.kind.numeric, rows[choices.target.source]
    y = np.asarray(target if regression else pd.factorize(target)[0], dtype=float)
    tree = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(min_samples_leaf=5, random_state=0)
    usual = float(np.var(y) if regression else 1 - np.bincount(y.astype(int)).max() / len(y))
    shares = {}
    for column in choices.features:
        values = rows[column.source]
        numbers = values if pd.api.types.is_numeric_dtype(values) else pd.Series(pd.factorize(values)[0])
        answer = cross_val_predict(tree, numbers.astype("float64").to_numpy().reshape(-1, 1), y, cv=3)
        error = float(np.mean((y - answer) ** 2 if regression else y != answer))
        shares[column.source] = 1 - error / usual if usual else 0.0
    return {source: share for source, share in shares.items() if share > SUSPECT}


def _named(columns: Sequence[Column], name: str, option: str) -> Column:
    """Return the column of a name, as in the file or as in the project."""
    named = [column for column in columns if name in (column.source, column.name)]
    if not named:
        known = [column.source for column in columns]
        raise StackError(
            option,
            found=f"no column {name!r}{nearest(name, known)}",
            expected=f"one of {', '.join(known)}",
            todo=f"set {option}=... to the name of a column",
        )
    return named[0]


def _target(columns: list[Column], name: str, wishes: Wishes, ask: Ask) -> Column:
    usable = [column for column in columns if column.usable]
    if not usable:
        raise StackError("FROM", found="no column with values to predict", expected="a table with a target")
    likely = [column for target in (name, *TARGETS) for column in usable if column.name == target]
    default = (likely or usable[-1:])[0].source
    answer = wishes.target or ask("Which column is to be predicted?", default, [column.source for column in usable])
    return _named(columns, answer, "TARGET")


def _task(values: pd.Series, target: Column, wishes: Wishes) -> tuple[str, list[Any]]:
    """Return the task that fits a target's values, and its classes; the second of two is positive."""
    few = target.kind == "integer" and target.distinct <= FEW and len(values) >= 20 * target.distinct
    classed = target.distinct == 2 or target.kind in ("string", "boolean") or few
    regression = tasks.KINDS[wishes.task].numeric if wishes.task else not classed
    enough = target.values and target.distinct >= 2 and values.count() >= LEAST_OF_CLASS * target.distinct
    if not (target.kind in ("number", "integer") if regression else enough):
        classes = f"two to {KNOWN} classes, on average of at least {LEAST_OF_CLASS} rows"
        raise StackError(
            "TARGET",
            found=f"{target.source}: {target.kind} with {target.distinct} different values",
            expected="numbers" if regression else classes,
            todo="name another column, or TASK=regression",
        )
    if regression:
        return wishes.task or Regression.name, []
    if target.distinct > 2:
        return tasks.suited(target.distinct), target.values

    def order(label: Any) -> tuple[bool, float, str]:
        """Sort what sounds positive last, then numbers ascending, or the rarer of two texts last."""
        number = isinstance(label, int | float)
        position = float(label) if number else -float((values == label).sum())
        return str(label).lower() in POSITIVE, position, "" if number else str(label)

    return Binary.name, sorted(target.values, key=order)


def _time(columns: list[Column], target: Column, wishes: Wishes, ask: Ask) -> Column | None:
    whole = [column for column in columns if column.kind == "datetime" and not column.missing]
    dated = [column.source for column in whole if column is not target]
    answer = wishes.time or NONE
    if dated and not wishes.time:
        answer = ask("Which column holds the instant of a row?", dated[0], [*dated, NONE])
    if answer == NONE:
        return None
    column = _named(columns, answer, "TIME")
    if column not in whole:
        raise StackError(
            f"TIME={answer}",
            found=f"{column.kind}, {column.missing:.1%} missing, like {column.example!r}",
            expected="a date or an instant in every row",
            todo=f"name another column, or TIME={NONE} for a table without time",
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


def _keys(rows: int, others: list[Column], wishes: Wishes, ask: Ask) -> list[Column]:
    """Return the columns whose values have a past of their own."""
    whole = [column for column in others if column.kind in ("string", "integer", "id", "text") and not column.missing]
    suitable = [column for column in whole if 2 <= column.distinct <= rows / 5]
    few = [column for column in suitable if column.distinct <= MOST_KEYS]
    likely = [column for column in few if KEYS.search(column.name)]
    likely = likely or [column for column in few if column.kind == "string"]
    default = likely[0].source if likely else NONE
    known = [*(column.source for column in suitable), NONE]
    answer = wishes.keys or (ask("Whose past is known (several: a,b)?", default, known) if suitable else NONE)
    return [] if answer == NONE else [_named(others, key.strip(), "KEYS") for key in answer.split(",")]


def _reason(column: Column, keys: list[Column]) -> str:
    """Return why a column is no feature; empty when it is a feature."""
    if column in keys or (column.usable and not (IDS.search(column.name) and column.distinct > FEW)):
        return ""
    if column.kind == "datetime" and column.missing:
        return f"it is an instant, missing in {column.missing:.1%} of the rows, so it cannot be the instant of a row"
    return REASONS.get(column.kind, "it only names the row")


def _row_key(table: pd.DataFrame, others: list[Column], keys: list[Column], time: Column | None) -> list[Column]:
    """Return the columns that identify a row: an id, or the keys and the time."""
    unique = [column for column in others if not column.missing and column.distinct == len(table)]
    for column in sorted(unique, key=lambda column: column.kind != "id"):
        if column.kind in ("id", "integer", "string"):
            return [column]
    several = [*keys, time] if time else []
    return several if several and not table.duplicated([column.source for column in several]).any() else []
