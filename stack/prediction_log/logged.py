"""Logged predictions for people: a page of the newest ones, one alone, and totals by day. Without pandas."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Self

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, RowMapping, extract, func, literal, null, select, tuple_

from stack.core.database import as_text, engine, in_utc, predictions

CHUNK, LOOKED_AT = 2_000, 10_000
"""Predictions that a filter reads at a time, and for a page."""
DAY_SECONDS = 86_400
Keep = Callable[[dict[str, Any], float | None], bool]
"""Of an answer and its encoded label: whether it is on the page."""


class Place(NamedTuple):
    """The place of a prediction in the order of the log."""

    asked_at: datetime
    id: str

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the place that a text names; ValueError where it names none."""
        asked_at, _, name = text.partition("~")
        try:
            return cls(in_utc(datetime.fromisoformat(asked_at)), name)
        except OverflowError as error:  # the first hours of year 1, or the last of 9999, are of another year in UTC
            raise ValueError(str(error)) from None

    def __str__(self) -> str:
        return f"{self.asked_at.replace(tzinfo=None).isoformat()}~{self.id}"


@dataclass(frozen=True)
class Logged:
    """A logged prediction."""

    id: str
    asked_at: datetime
    """On the project's clock."""
    answered_at: datetime
    """On the wall clock."""
    request: dict[str, Any]
    features: dict[str, Any]
    features_at: datetime | None
    """Oldest event time of the feature rows used."""
    model_version: str
    answer: dict[str, Any]
    reasons: dict[str, Any] | None
    label: float | None
    """Encoded."""
    label_at: datetime | None


@dataclass(frozen=True)
class Page:
    """Some predictions, newest first."""

    rows: list[Logged]
    last: Place | None
    """Where the next page begins; None where this is the last one."""


@dataclass(frozen=True)
class Days:
    """Totals of days (UTC, on the project's clock) that have predictions, in the order of time."""

    times: list[int] = field(default_factory=list)
    """Seconds since 1970."""
    rows: list[int] = field(default_factory=list)
    labelled: list[int] = field(default_factory=list)
    means: list[float | None] = field(default_factory=list)
    """Of the number that was asked for."""


def page(
    database: str,
    project: str,
    count: int,
    *,
    day: datetime | None = None,
    before: Place | None = None,
    keep: Keep | None = None,
) -> Page:
    """Return the newest predictions; what cannot be read is left out.

    Args:
        database: URL.
        project: its name.
        count: at most so many.
        day: its beginning, where only that day's are asked for.
        before: only those that come after it in the order, newest first.
        keep: whether one is on the page; the page ends after `LOOKED_AT` predictions whatever was found.
    """
    ids: list[str] = []
    looked_at, last = 0, before
    with engine(database).connect() as connection:
        while True:
            size = CHUNK if keep else count
            places = _places(connection, project, day, last, size, keep)
            for place, kept in places:
                last = place
                if kept:
                    ids.append(place.id)
                if len(ids) == count:
                    break
            looked_at += len(places)
            ended = len(places) < size and len(ids) < count
            if ended or len(ids) == count or looked_at >= LOOKED_AT:
                return Page(_read(connection, ids), None if ended else last)


def one(database: str, project: str, prediction: str) -> Logged | None:
    """Return a prediction by its id; None where the project has no such one, or it cannot be read."""
    with engine(database).connect() as connection:
        return next(iter(_read(connection, [prediction], project)), None)


def by_day(database: str, project: str, days: int, output: str = "") -> Days:
    """Return the totals of the last days of the log.

    Args:
        database: URL.
        project: its name.
        days: how many before the newest prediction.
        output: field of the answers whose mean is wanted; none when empty.
    """
    table = predictions.c
    seconds = extract("epoch", table.asked_at)
    start = (seconds - seconds % DAY_SECONDS).label("start")
    mean: ColumnElement[Any] = func.avg(table.answer[output].as_float()) if output else null()
    with engine(database).connect() as connection:
        newest = connection.execute(select(func.max(table.asked_at)).where(table.project == project)).scalar()
        if newest is None:
            return Days()
        since = in_utc(newest) - timedelta(days=days)
        # The bound leads SQLite to the index by time; without it, it reads the table in the order of another one.
        own = table.project == project, table.asked_at > since
        query = select(start, func.count(), func.count(table.label), mean).where(*own).group_by(start).order_by(start)
        rows = [row for row in connection.execute(query) if row.start is not None]
    times, counts, labelled, means = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    return Days([*map(int, times)], counts, labelled, means)


def since(database: str, project: str, at: datetime) -> tuple[int, int]:
    """Return how many predictions were asked after an instant, and how many of them have no label."""
    own = predictions.c.project == project, predictions.c.asked_at > at.astimezone(UTC)
    with engine(database).connect() as connection:
        rows, labelled = connection.execute(select(func.count(), func.count(predictions.c.label)).where(*own)).one()
    return rows, rows - labelled


def _places(
    connection: Connection, project: str, day: datetime | None, before: Place | None, size: int, keep: Keep | None
) -> Sequence[tuple[Place, bool]]:
    """Return the places of the next predictions, and whether each is kept."""
    table = predictions.c
    query = select(table.id, as_text(table.asked_at).label("asked_at")).where(table.project == project)
    if keep:
        query = query.add_columns(table.label, as_text(table.answer).label("answer"))
    if day:
        query = query.where(table.asked_at >= day, table.asked_at < day + timedelta(days=1))
    if before:
        after = tuple_(literal(before.asked_at, table.asked_at.type), literal(before.id))
        query = query.where(table.asked_at <= before.asked_at, tuple_(table.asked_at, table.id) < after)
    rows = connection.execute(query.order_by(table.asked_at.desc(), table.id.desc()).limit(size)).mappings().all()
    return [(Place(_instant(row["asked_at"]), row["id"]), not keep or _is_kept(keep, row)) for row in rows]


def _is_kept(keep: Keep, row: RowMapping) -> bool:
    try:
        return keep(from_json(row["answer"]), row["label"])
    except (ValueError, KeyError, TypeError):  # what cannot be read
        return False


def _read(connection: Connection, ids: Sequence[str], project: str = "") -> list[Logged]:
    """Return predictions in the order of their ids, where named only those of a project."""
    columns = [as_text(column).label(column.name) for column in predictions.c if column.name in FIELDS]
    query = select(*columns).where(predictions.c.id.in_(ids))
    if project:  # of many ids it would lead SQLite to an index by project
        query = query.where(predictions.c.project == project)
    found = {logged.id: logged for logged in _readable(connection.execute(query).mappings().all())}
    return [found[name] for name in ids if name in found]


def _readable(rows: Sequence[RowMapping]) -> Iterator[Logged]:
    for row in rows:
        try:
            yield Logged(**{name: READ.get(name, _same)(value) if value else value for name, value in row.items()})
        except (ValueError, TypeError):
            continue


def _instant(text: str) -> datetime:
    return in_utc(datetime.fromisoformat(text))


def _same(value: Any) -> Any:
    return value


FIELDS = Logged.__dataclass_fields__.keys()
READ: dict[str, Callable[[Any], Any]] = dict.fromkeys(("asked_at", "answered_at", "features_at", "label_at"), _instant)
READ |= dict.fromkeys(("request", "features", "answer", "reasons"), from_json)
