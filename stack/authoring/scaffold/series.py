"""Series in a table: values at regular instants, of which the next ones are to be forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd

from stack.authoring.scaffold.choices import Choices, named
from stack.authoring.scaffold.columns import Column
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.specification.forecasts import DAY, UNITS

REGULAR = 0.8
"""Share of the distances between values that are equal in a series."""
LEAST = 4 * 7 * DAY
"""Time that a series covers at least."""
NUMBERS = ("number", "integer", "boolean")


def recognised(table: pd.DataFrame, columns: list[Column], choices: Choices, wishes: Wishes) -> Choices:
    """Return the choices of a forecast where the user asks for one, or the table has a series and nothing else.

    Other columns are known up to the instant of a question, but those of `wishes.ahead`, which a request holds.

    Raises:
        StackError: a forecast is asked for of what is no series.
    """
    given, asked = choices, wishes.task == "forecast"
    if not asked and (wishes.task or choices.classes):
        return choices
    at = choices.time.instants(table, choices.zone) if choices.time else None
    every = distance(table, at, choices.keys)
    if not wishes.keys and (single := distance(table, at, [])):  # one series needs no key
        every, choices = single, replace(choices, keys=[], row_key=[choices.time] if choices.time else [])
    ahead = [named(columns, name.strip(), "AHEAD") for name in (wishes.ahead or "").split(",") if name.strip()]
    others = [column for column in choices.features if column not in choices.keys and column not in choices.dated]
    if not every or choices.span < LEAST:
        if asked:
            raise StackError(
                "TASK=forecast",
                found=_refused(at, every, choices),
                expected="a value at regular instants, minutes to a day apart, of each key, over four weeks at least",
                todo="name the instant with TIME and what has a series of its own with KEYS, or leave TASK out",
            )
        return given
    if not (asked or wishes.steps or ahead or not others):
        return replace(given, series=every)
    later = [column for column in others if column not in ahead]
    unused = {
        column.source: "it is no number, and known up to now only"
        for column in [*later, *choices.dated]
        if column.kind not in NUMBERS
    }
    steps = wishes.steps or (DAY // every if every < DAY else 7)
    return replace(
        choices,
        task="forecast",
        features=[*choices.keys, *ahead],
        later=[column for column in later if column.kind in NUMBERS],
        averaged=[],
        left_out=choices.left_out | unused,
        every=every,
        steps=steps,
    )


def _refused(at: pd.Series | None, every: timedelta | None, choices: Choices) -> str:
    """Return what the rows are, where they are no series that can be forecast."""
    if at is None:
        return "a table without the instant of a row"
    instants = np.sort(at.dt.tz_convert(None).unique())
    days = float(np.median(np.diff(instants)) / np.timedelta64(1, "D"))
    distance = f"mostly {days:.0f} days apart" if days > 1 else "at irregular instants"
    return f"rows over {choices.span / DAY:.0f} days" + ("" if every else f", {distance}")


def distance(table: pd.DataFrame, at: pd.Series | None, keys: list[Column]) -> timedelta | None:
    """Return how far apart the values of a series are; None where they are not at regular instants of a day.

    Args:
        at: instant of each row; None of a table without time.
        keys: what has a series of its own.
    """
    if at is None:
        return None
    number = table.groupby([column.source for column in keys], sort=False).ngroup() if keys else 0
    rows = pd.DataFrame({"at": at}).assign(series=number).sort_values(["series", "at"])
    repeated = rows.duplicated()
    if repeated.mean() > 1 - REGULAR:
        return None
    apart = rows[~repeated].groupby("series", sort=False)["at"].diff().dropna()
    if apart.empty:
        return None
    every = pd.Timedelta(np.median(apart.to_numpy().astype("timedelta64[us]").astype(np.int64)), unit="us")
    tolerance = pd.Timedelta(hours=1 if every == DAY else 0)  # days when the clocks change
    same = apart.between(every - tolerance, every + tolerance).mean()
    whole = pd.Timedelta(0) < every <= DAY and not DAY % every and not every % UNITS["min"]
    return every.to_pytimedelta() if same >= REGULAR and whole else None


def words(every: timedelta) -> str:
    """Return a distance as project.yaml has it."""
    unit = next(name for name in ("d", "h", "min") if not every % UNITS[name])
    return f"{every // UNITS[unit]}{unit}"
