"""How a file writes its instants: as text in one of the usual formats, as numbers since 1970, or as instants."""

import re

import pandas as pd

from stack.declared.instants import UNIX, names_zones, parse
from stack.kit.instants import in_utc
from stack.specification.fields import Datetime

LOOKS = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}:\d{4}"
    r"|\d{1,2}[-./ ]+[A-Za-z]{3,9}[-., /]+\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"
)
"""What a date in a text looks like."""
MONTH = re.compile(r"(\d{4})[-/](\d{2})|\d{1,2}[-/.]\d{4}|[A-Za-z]{3,9}[- ]\d{2,4}")
"""What a month of a year looks like; 2010-11 may be a season, too."""
BETWEEN = (" - ", " – ", "/", " to ", " bis ")
"""What is between the start and the end of an interval."""
FOREVER = r"9999|2999"
"""How dates are written that never come: the end of a contract without one."""
PARSED = 10_000
"""Texts by which a format is chosen, from the whole column."""
CLOCKS = (
    "",
    " %H:%M",
    " %H:%M:%S",
    " %H:%M:%S.%f",
    ", %H:%M",
    ", %H:%M:%S",
    " %I:%M %p",
    " %I:%M:%S %p",
    ", %I:%M:%S %p",
)
NUMBERED = [
    f"{date.replace('-', sign)}{year}{clock}"
    for sign in "./-"
    for date in (("%d-%m-",) if sign == "." else ("%m-%d-", "%d-%m-"))
    for year in ("%Y", "%y")
    for clock in CLOCKS
]
NAMED = [
    f"{date}{clock}"
    for date in ("%d-%b-%Y", "%d-%b-%y", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y")
    for clock in CLOCKS
]
MONTHS = ["%m/%Y", "%m.%Y", "%m-%Y", "%Y/%m", "%b %Y", "%B %Y", "%b-%Y", "%b-%y"]
FORMATS = [*NUMBERED, *NAMED, *MONTHS, "%Y%m%d:%H%M"]
"""What people write besides ISO 8601; the first that fits is taken."""
DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""How many digits an instant is written with -> their format."""
INSTANT = re.compile(
    r"(^|_)(ts|time|timestamp|epoch|unix|date|datetime|datum|instant|when|at|day|created|updated|modified)($|_)"
)
SINCE, UNTIL = pd.Timestamp("2000-01-01").timestamp(), pd.Timestamp("2100-01-01").timestamp()
"""What columns are called whose numbers are instants, and between which seconds since 1970 those are."""


def read(values: pd.Series, form: str | None, zone: str = "UTC", *, zoned: bool = False) -> pd.Series:
    """Return instants in UTC; those without a zone are of `zone`; null where they are none."""
    if form in UNIX:
        return parse(values, form)
    parsed = pd.to_datetime(values, utc=True, errors="coerce", format=form)
    if zone == "UTC" or zoned:
        return parsed
    return in_utc(parsed.dt.tz_localize(None), zone)


def unread(present: pd.Series, form: str | None) -> float:
    """Return the share of values that are no instant, or none that a project holds."""
    at = read(present, form)
    return 1 - float(at.between(pd.Timestamp(Datetime.least), pd.Timestamp(Datetime.greatest)).mean())


def in_text(texts: pd.Series) -> bool:
    """Return whether texts are dates; some may be of the end of time."""
    first = texts.head(50)
    if first.str.contains(LOOKS).mean() < 0.99 and not _are_months(first):
        return False
    dates = texts[~texts.str.contains(FOREVER)]
    return len(dates) > len(texts) / 20 and bool(read(dates, of(dates)).notna().mean() > 0.99)


def start_of_interval(present: pd.Series) -> int:
    """Return how many characters the start has where all texts are intervals, with starts of one length; else 0."""
    if pd.api.types.infer_dtype(present) != "string":
        return 0
    for sign in (sign for sign in BETWEEN if sign in present.iloc[0]):
        starts, ends = (part.str.strip() for _, part in present.str.partition(sign)[[0, 2]].items())
        if starts.str.len().nunique() == 1 and ends.str.match(LOOKS).all() and in_text(starts):
            return len(starts.iloc[0])
    return 0


def _are_months(texts: pd.Series) -> bool:
    """Return whether all texts look like months of years, and not like years that end in the next one."""
    found = texts.str.extract(MONTH).apply(pd.to_numeric)
    seasons = bool(((found[0] + 1) % 100 == found[1]).all())
    return bool(texts.str.fullmatch(MONTH).all()) and not seasons


def of(values: pd.Series) -> str | None:
    """Return how pandas reads the texts: ISO 8601, one of the usual formats, or a mixture; None for instants.

    Dates that may have the day or the month first have it first with points between, else the month. A mixture has
    the year first: of others the order is not known.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        return None
    texts = values.dropna()
    texts = texts.iloc[:: max(1, len(texts) // PARSED)].astype(str)
    patterns = (form for form in ("ISO8601", *FORMATS) if fits(form, texts.head(50)) and fits(form, texts))
    last = "mixed" if texts.str.match(r"\s*\d{4}").all() else "ISO8601"
    return next(patterns, last)


def fits(form: str, texts: pd.Series) -> bool:
    """Return whether a format reads nearly all of the texts."""
    return bool(pd.to_datetime(texts, utc=True, errors="coerce", format=form).notna().mean() > 0.99)


def day_first(form: str | None) -> bool | None:
    """Return whether the day is before the month in numbers with a stroke or a slash; None of other formats."""
    return form.startswith("%d") if form in NUMBERED and "." not in form[:6] else None


def swapped(form: str) -> str:
    """Return the format with the day in place of the month, and the month in place of the day."""
    return form.translate(str.maketrans("dm", "md"))


def in_numbers(present: pd.Series, name: str) -> str | None:
    """Return the format of numbers since 1970, or of the digits of a date; None for others."""
    if not INSTANT.search(name) or pd.api.types.is_bool_dtype(present):
        return None
    numeric = pd.api.types.is_numeric_dtype(present)
    if not numeric or pd.api.types.is_integer_dtype(present):
        form = DIGITS.get(len(str(present.iloc[0])))
        if form and present.head(50).astype(str).str.fullmatch(r"(19|20)\d+").all() and fits(form, present.astype(str)):
            return form
    if not numeric:
        return None
    seconds = {form: pd.Timedelta(1, unit) / pd.Timedelta("1s") for form, unit in UNIX.items()}
    bounds = ((form, SINCE / second, UNTIL / second) for form, second in seconds.items())
    return next((form for form, since, until in bounds if present.between(since, until).all()), None)


def zoned(present: pd.Series) -> bool:
    """Return whether each of the instants names its zone."""
    if pd.api.types.is_datetime64_any_dtype(present):
        return isinstance(present.dtype, pd.DatetimeTZDtype)
    return names_zones(present.astype(str))
