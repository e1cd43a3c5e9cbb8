"""Read times of day, and bring instants that name no zone to UTC, for a project's ``source.py``."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from pandas import Series, Timedelta, to_numeric, to_timedelta

__all__ = ["in_utc", "time_of_day"]

SORTED = 0.9
"""Share of neighbouring rows in one order, from which on rows are in the order of time."""
NOTHING = Timedelta(0)
CLOCK = re.compile(r"(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?: ?([AaPp])\.?[Mm]\.?)?")
"""A time of day: hour, minute, second, and the letter of AM or PM."""


def in_utc(values: Series[Any], zone: str) -> Series[Any]:
    """Return instants (datetime64[us, UTC]); those without a zone are of `zone`.

    An hour that is skipped moves forward. One that comes twice, as the clocks go back, is the first until rows in the
    order of time step back inside of it, or come again.
    """
    if values.dt.tz is None:
        first = _before_clocks_go_back(values, zone)
        values = values.dt.tz_localize(zone, ambiguous=first, nonexistent="shift_forward")
    instants: Series[Any] = values.dt.tz_convert("UTC").dt.as_unit("us")
    return instants


def time_of_day(clock: Series[Any]) -> Series[Any]:
    """Return times of day in text, like 18:30, 18.30.00 or 6:30 PM, as the time since midnight; null where none is.

    Raises:
        ValueError: a text is no time of day.
    """
    texts = clock.dropna().astype(str).str.strip()
    wrong = texts[~texts.str.fullmatch(CLOCK)]
    if len(wrong):
        raise ValueError(f"{wrong.iloc[0]!r} is no time of day")
    found = texts.str.extract(CLOCK)
    hour, minute, second = (to_numeric(found[part]).fillna(0) for part in range(3))
    hour = hour.where(found[3].isna(), hour % 12 + 12 * found[3].str.upper().eq("P"))
    return to_timedelta(3600 * hour + 60 * minute + second, unit="s").reindex(clock.index)


def _before_clocks_go_back(values: Series[Any], zone: str) -> np.ndarray:
    """Return which instants mean the first of two equal hours, as far as they are in such an hour."""
    first = np.ones(len(values), bool)
    present = np.flatnonzero(values.notna())
    known = values.iloc[present].reset_index(drop=True)
    repeated = known.dt.tz_localize(zone, ambiguous="NaT", nonexistent="shift_forward").isna()
    if not repeated.any():
        return first
    step = known.diff()
    ascending, descending = (step.dropna() >= NOTHING).mean(), (step.dropna() <= NOTHING).mean()
    if max(ascending, descending) < SORTED:
        return first
    newest_first = bool(descending > ascending)
    number = (repeated != repeated.shift()).cumsum()[repeated]
    for _, stretch in known[repeated].groupby(number):  # the rows of one series in one such hour
        back = stretch.diff() > NOTHING if newest_first else stretch.diff() < NOTHING
        second = back.cumsum() == 1 if back.sum() == 1 else _second_half(stretch, known)
        first[present[stretch.index]] = second == newest_first if second.any() else True
    return first


def _second_half(stretch: Series[Any], known: Series[Any]) -> Series[Any]:
    """Return which rows are the second ones of a time that comes twice as often as the one before it."""
    start, half = int(stretch.index[0]), len(stretch) // 2
    before = known.iloc[max(0, start - half - 1) : start]
    twice = half and stretch.nunique() == 1 and len(stretch) == 2 * half
    alike = bool(twice) and len(before) >= half and (before == before.iloc[-1]).sum() == half
    return Series(np.arange(len(stretch)) >= half, stretch.index) & alike
