"""The instant of a row: in a column, or spread over several, as year, month, day and hour; asked about, or known."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

import pandas as pd

from stack.authoring.scaffold.columns import Column
from stack.declared import instants as spread
from stack.kit.instants import CLOCK

PARTS = {
    "year": (r"year|yr|yyyy|jahr", 1800, 2200),
    "month": (r"month|mnth|mon|mo|mm|monat", 1, 12),
    "day": (r"day|dd|dom|tag|day_of_month", 1, 31),
    "hour": (r"hour|hr|hh|stunde|hour_of_day", 0, 24),
    "minute": (r"minute|min|mi", 0, 59),
}
"""Part of an instant -> what its column is called, and its least and largest value."""
DATE = 3
"""The parts that make a date."""
ASKED = re.compile(r"ask|order|creat|start|begin|open|request|receiv|admi|book|sent|pickup|from|bestell|beginn|eingang")
KNOWN = re.compile(
    r"deliver|complet|clos|end|finish|resolv|return|paid|settl|result|known|actual|arriv|done|fix|discharg|dropoff"
)
"""What columns are called that hold when a row is asked about, and when its outcome is known."""
BORN = re.compile(r"birth|born|(^|_)(dob|geb|geburt)")
ABOUT = re.compile(
    rf"{BORN.pattern}|since|seit|join|sign(ed)?_?up|registe?r|member|install|built|manufact|hire|valid|expir|renew|planned"
    r"|(^|_)(last|first|prev|previous|next|due|until|customer|user|account|week|month|quarter|fiscal|cohort)(_|$)"
)
"""What columns are called that hold a date of birth; and a date of what a row is about, such as the customer."""


def joined(table: pd.DataFrame, columns: list[Column]) -> tuple[Column, pd.Series] | None:
    """Return the instant that is spread over several columns, and its values; None where there is none."""
    for parts, form in [*_parts(columns), *_date_and_clock(table, columns)]:
        with suppress(ValueError):
            at = spread.joined(table, parts, form)
            if at.notna().all():
                names = {column.name for column in columns}
                name = next(name for name in ("at", "instant", "row_at", "row_instant") if name not in names)
                source, distinct = ", ".join(parts.values()), int(at.nunique())
                example = ", ".join(str(table[part].iloc[0]) for part in parts.values())
                return Column(
                    source, name, "datetime", 0.0, distinct, len(at), example=example, format=form, parts=parts
                ), at
    return None


def asked(table: pd.DataFrame, dated: list[Column]) -> Column | None:
    """Return which of several dates is when a row is asked about; None where there are only dates of birth.

    It is called so, or the rows are in its order, or it is the earliest; of the same day the one with a time of day.
    """
    dated = [column for column in dated if not BORN.search(column.name)]
    begun = [column for column in dated if not KNOWN.search(column.name)] or dated
    own = [column for column in begun if not ABOUT.search(column.name)] or begun
    named = [column for column in own if ASKED.search(column.name)]
    spread = [column for column in own if column.parts]
    candidates = spread or named or [column for column in own if _in_order(column, table)] or own

    def first(column: Column) -> tuple[pd.Timestamp, int]:
        return column.instants(table).dt.floor("D").mean(), -column.distinct

    return min(candidates, key=first, default=None)


def _in_order(column: Column, table: pd.DataFrame) -> bool:
    instants = column.instants(table)
    return bool(instants.is_monotonic_increasing or instants.is_monotonic_decreasing)


def known(table: pd.DataFrame, time: Column, dated: list[Column]) -> Column | None:
    """Return which other date is when the outcome is known: called so, and never before the row is asked about."""
    at = time.instants(table)
    later = [
        column
        for column in dated
        if column is not time
        and KNOWN.search(column.name)
        and (column.instants(table) >= at).all()
        and (column.instants(table) > at).mean() > 0.5
    ]
    return max(later, key=lambda column: column.instants(table).mean()) if later else None


def unused(
    table: pd.DataFrame, dated: list[Column], zone: str, at: pd.Series | None, kept: Collection[str]
) -> dict[str, str]:
    """Return the instants that a row is not asked about with, as they are not known then, or tell nothing.

    Args:
        at: instant of each row; None of a table without time, where all may be known.
        kept: columns that are known when asked, as the user says.
    """
    reasons = {}
    for column in dated:
        if column.unread:
            reasons[column.source] = f"{column.unread:.1%} of its values are no instant from 1700 to 2200"
        if at is None or column.unread:
            continue
        instants = column.instants(table, zone)
        after = float((instants > at).mean())
        midnight = at.dt.tz_convert(zone).dt.normalize()
        if (at - instants).nunique(dropna=False) == 1 or (instants == midnight).all():
            reasons[column.source] = "it tells no more than the instant of the row"
        elif after and column.source not in kept:
            reasons[column.source] = (
                f"it is after the instant of the row in {after:.1%} of them (KEEP= where it is known when asked, "
                "TIME= where a row is asked about then)"
            )
    return reasons


def sources(columns: Iterable[Column]) -> list[str]:
    """Return the names of columns in the file."""
    return [column.source for column in columns]


def _parts(columns: list[Column]) -> Iterator[tuple[dict[str, str], None]]:
    """Yield the columns year, month, day and what there is of hour and minute."""
    named: dict[str, str] = {}
    for part, (pattern, least, most) in PARTS.items():
        for column in columns:
            if column.missing or column.least is None or column.most is None or column.kind == "number":
                continue
            if re.fullmatch(pattern, column.name) and least <= column.least <= column.most <= most:
                named.setdefault(part, column.source)
    names = list(PARTS)
    found = next((names[:size] for size in range(len(names), DATE - 1, -1) if {*names[:size]} <= named.keys()), [])
    if found:
        yield {part: named[part] for part in found}, None


def _date_and_clock(table: pd.DataFrame, columns: list[Column]) -> Iterator[tuple[dict[str, str], str | None]]:
    """Yield a column of dates without a time of day, with one of hours or of times of day; and the dates' format."""
    dates = [column for column in columns if column.kind == "datetime" and not column.missing and not column.zoned]
    for date in (date for date in dates if date.format not in spread.UNIX):
        at = date.instants(table).dt.tz_localize(None)
        if at.isna().any() or (at != at.dt.floor("D")).any():
            continue
        for column in (column for column in columns if not column.missing and column.distinct >= 2):
            pattern, least, most = PARTS["hour"]
            bounded = column.least is not None and least <= column.least <= (column.most or 0) <= most
            if bounded and column.kind == "integer" and re.fullmatch(pattern, column.name):
                yield {"date": date.source, "hour": column.source}, date.format
                continue
            text = column.kind in ("string", "text", "name", "id")
            if text and table[column.source].astype(str).str.strip().str.fullmatch(CLOCK).all():
                yield {"date": date.source, "clock": column.source}, date.format
