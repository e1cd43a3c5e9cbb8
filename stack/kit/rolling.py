"""Features of a key's past: means over rolling windows at regular ticks, for a project's ``features.py``."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import pandas as pd

__all__ = ["means"]


def means(
    rows: pd.DataFrame,
    key: str,
    columns: Sequence[str],
    since: datetime,
    until: datetime,
    *,
    tick: pd.Timedelta,
    windows: Mapping[str, int | tuple[int, int]],
) -> pd.DataFrame:
    """Average columns over the rows of each key that were known before each tick in (since, until].

    A window of n ticks at an instant t covers [t - n ticks, t), or as much that ended some ticks before t. Sums are
    computed tick by tick in the order of time, so a value does not depend on the rows before its window or on `since`.

    Args:
        rows: `key` (rows without it are left out), `columns` (numbers, missing ones are not counted) and
            ``available_at``, known in (since - the longest window, until].
        tick, windows: distance of the ticks, which lie on its multiples since 1970 UTC; name -> length in ticks, or
            length and how many ticks ago it ended.

    Returns:
        `key`, ``event_timestamp`` (microseconds, UTC), ``<key>_rows_<window>``, the number of rows in a window, and
        ``<key>_<column>_<window>``, both float32: a row for each tick and key with rows in its longest window.
    """
    spans = {name: window if isinstance(window, tuple) else (window, 0) for name, window in windows.items()}
    longest = max(length + ago for length, ago in spans.values())
    names = [f"{key}_{name}_{window}" for name in ("rows", *columns) for window in windows]
    seen = rows["available_at"].dt.as_unit("us").dt.floor(tick) + tick
    keyed = rows[key].notna()
    ticks = _ticks(seen[keyed], since, until, tick, longest)
    if ticks.empty:
        return _frame(rows[key].iloc[:0], ticks, {name: np.empty(0, dtype=np.float32) for name in names}, key)
    span = pd.date_range(ticks[0] - longest * tick, ticks[-1], freq=tick, unit="us")
    near = keyed & (seen >= span[0]) & (seen <= span[-1])
    groups = rows.loc[near, [key, *columns]].groupby([seen[near], key])
    counts = {"rows": groups.size()} | {name: groups[name].count() for name in columns}
    sums = counts | {name: groups[name].sum() for name in columns}
    tables = {}
    for name in ("rows", *columns):
        summed, counted = (_spread(of[name], span) for of in (sums, counts))
        for window, (length, ago) in spans.items():
            count = _last(counted, length, ago)
            total = count if name == "rows" else _last(summed, length, ago) / count.where(count > 0)
            tables[f"{key}_{name}_{window}"] = total.loc[ticks].astype("float32")
    present = _last(_spread(counts["rows"], span), longest).loc[ticks]
    filled = present.to_numpy() > 0
    tick_of_row, key_of_row = np.nonzero(filled)
    keys = pd.Series(present.columns[key_of_row]).astype(rows[key].dtype)
    return _frame(keys, ticks[tick_of_row], {name: table.to_numpy()[filled] for name, table in tables.items()}, key)


def _ticks(seen: pd.Series, since: datetime, until: datetime, tick: pd.Timedelta, longest: int) -> pd.DatetimeIndex:
    """Return the ticks in (since, until] whose longest window may hold a row."""
    first, last = pd.Timestamp(since).floor(tick) + tick, pd.Timestamp(until).floor(tick)
    if seen.empty:
        return pd.DatetimeIndex([], tz="UTC")
    first, last = max(first, seen.min()), min(last, seen.max() + longest * tick)
    return pd.date_range(first, last, freq=tick, unit="us")


def _spread(values: pd.Series, span: pd.DatetimeIndex) -> pd.DataFrame:
    """Return a table with a row for each tick and a column for each key."""
    return values.unstack().reindex(span).fillna(0.0).astype("float64")


def _last(table: pd.DataFrame, length: int, ago: int = 0) -> pd.DataFrame:
    """Sum over the last ticks, or those that ended some ticks ago, always in the same order."""
    values = table.to_numpy()
    total = np.zeros_like(values)
    for back in range(ago, min(ago + length, len(values))):
        total[back:] += values[: len(values) - back]
    return pd.DataFrame(total, table.index, table.columns)


def _frame(keys: pd.Series, at: pd.DatetimeIndex, columns: Mapping[str, np.ndarray], key: str) -> pd.DataFrame:
    times = at.tz_convert("UTC").as_unit("us")
    return pd.DataFrame({key: keys.to_numpy(), "event_timestamp": times, **columns})
