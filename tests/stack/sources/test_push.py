"""Pushed rows: windows hold each once, the later one of a key counts, and the lake has them before they go."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from stack.core import settings as core_settings
from stack.core import wall_clock
from stack.core.database import engine, messages
from stack.core.settings import Settings
from stack.lake.lake import Lake
from stack.project import Project
from stack.sources import inbox, push
from stack.specification import specs
from stack.validation import batches
from tests.stack.authoring.scaffolds import Folder, sales

SOURCE = "source: {path: data/declared.csv, zone: UTC}"
PUSHED = "source: {kind: push, key: [order_no]}"
CLOCK = "clock: {kind: replay, start: 2024-01-01T00:00:00Z, first_now: 2024-04-10T00:00:00Z}"


@pytest.fixture
def pushed(tmp_path, monkeypatch):
    """A project of the sales to which rows are pushed; with another source, whose file has the past."""
    folder = Folder(tmp_path, monkeypatch)
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")

    def project(source: str = PUSHED, *, by_hour: bool = False) -> Project:
        folder.change("projects/declared/project.yaml", SOURCE, source)
        folder.change("projects/declared/project.yaml", CLOCK, "clock: {start: 2024-01-01T00:00:00Z}")
        if by_hour:
            folder.change("projects/declared/project.yaml", "mean(units, 7d) by", "mean(units, 2h) by")
        return Project(core_settings.settings(), specs.load("declared"))

    with core_settings.using(Settings(home=tmp_path / "home")):
        yield project


def row(number: int, units: float = 20.0, **values: object) -> bytes:
    at = f"2024-05-01T00:00:{number % 60:02d}Z"
    given = {"sold_at": at, "order_no": number, "shop_id": 1, "price": 9.5, "promo": True, "weather": None}
    return json.dumps(given | {"units": units} | values).encode()


def ingest(project: Project, since: datetime, until: datetime) -> str:
    tables = batches.fetch(project, since, until)
    result = batches.validate(project, tables, since, until)
    batches.require_accepted(project, result)
    revision = project.lake.append(result.tables, since, until)
    batches.release(project, until)
    return revision


def kept() -> int:
    with engine(core_settings.settings().state_database).connect() as connection:
        return connection.execute(select(func.count()).select_from(messages)).scalar()


def test_a_row_has_the_types_of_its_project(pushed):
    project = pushed()
    push.keep(project.settings, "declared", [row(1), row(2, weather="rain")])
    rows = project.source.fetch(project.spec.clock.start, datetime.now(UTC))["rows"]
    assert rows["weather"].tolist() == [None, "rain"] and rows["sold_at"].dt.tz is not None
    assert (rows["promo"].dtype, rows["order_no"].dtype, rows["price"].dtype) == (bool, np.int64, np.float64)
    assert rows["available_at"].is_monotonic_increasing and rows["available_at"].max() <= pd.Timestamp.now("UTC")


def test_windows_hold_each_row_once_also_those_that_come_while_they_are_read(pushed):
    project = pushed()
    since, seen = project.spec.clock.start, []
    for turn in range(20):
        push.keep(project.settings, "declared", [row(3 * turn + number) for number in range(3)])
        until = datetime.now(UTC)
        seen += project.source.fetch(since, until)["rows"]["order_no"].tolist()
        since = until
    assert seen == list(range(60))


def test_a_row_that_comes_after_a_read_is_in_a_later_window_even_when_the_clock_goes_back(pushed, monkeypatch):
    project, until = pushed(), datetime.now(UTC)
    assert project.source.fetch(project.spec.clock.start, until)["rows"].empty
    monkeypatch.setattr(wall_clock, "observe", lambda _: wall_clock.Observation(until - timedelta(minutes=1), until))
    push.keep(project.settings, "declared", [row(1)])
    assert project.source.fetch(project.spec.clock.start, until)["rows"].empty
    assert len(project.source.fetch(until, until + timedelta(seconds=1))["rows"]) == 1


def test_a_window_that_ends_later_than_now_delays_nothing(pushed):
    project, now = pushed(), datetime.now(UTC)
    project.source.fetch(now, now + timedelta(days=1))
    push.keep(project.settings, "declared", [row(1)])
    assert len(project.source.fetch(now, datetime.now(UTC))["rows"]) == 1


def test_the_later_row_of_a_key_counts_once_in_a_request_in_two_and_after_an_ingest(pushed):
    project = pushed()
    push.keep(project.settings, "declared", [row(1, units=1.0), row(2), row(1, units=2.0)])
    push.keep(project.settings, "declared", [row(2, units=3.0)])
    now = datetime.now(UTC)
    first = now.replace(microsecond=0) + timedelta(seconds=1)
    ingest(project, project.spec.clock.start, first)
    assert values(project) == {1: 2.0, 2: 3.0}
    inbox_at = lambda _: wall_clock.Observation(first + timedelta(seconds=5), first)  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wall_clock, "observe", inbox_at)
        push.keep(project.settings, "declared", [row(1, units=4.0), row(2, units=3.0)])
        ingest(project, first, first + timedelta(seconds=6))
    assert values(project) == {1: 4.0, 2: 3.0}
    assert project.lake.read(until=first)["rows"]["units"].tolist() == [2.0, 3.0], "what was known then"


def values(project: Project) -> dict[int, float]:
    rows = project.lake.read()["rows"]
    assert rows["order_no"].is_unique
    return dict(zip(rows["order_no"], rows["units"], strict=True))


def test_rows_wait_until_the_lake_has_them_and_go_a_day_later(pushed):
    project, settings = pushed(), core_settings.settings()
    assert inbox.instants(settings, "declared") == (None, None)
    push.keep(settings, "declared", [row(1)])
    came, ingested = inbox.instants(settings, "declared")
    assert came is not None and ingested is None
    batches.release(project, came)
    assert inbox.instants(settings, "declared") == (came, came) and kept() == 1
    batches.release(project, came + push.KEPT)
    assert kept() == 0


@pytest.mark.parametrize("broken", ["validate", "require_accepted", "append", "release"])
def test_an_ingest_that_ends_in_the_middle_is_made_up_for_once(pushed, monkeypatch, broken):
    project = pushed()

    def advance(seconds: int) -> datetime:
        at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
        monkeypatch.setattr(wall_clock, "observe", lambda _: wall_clock.Observation(at, at))
        return at

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    push.keep(project.settings, "declared", [row(1), row(2)])
    first = advance(5)
    with monkeypatch.context() as patch:
        patch.setattr(Lake if broken == "append" else batches, broken, killed)
        with pytest.raises(KeyboardInterrupt):
            ingest(project, project.spec.clock.start, first)
    push.keep(project.settings, "declared", [row(3), row(2, units=3.0)])
    assert kept() == 4
    since, until = project.lake.ingested_until() or project.spec.clock.start, advance(10)
    ingest(project, since, until)
    assert values(project) == {1: 20.0, 2: 3.0, 3: 20.0}
    assert inbox.instants(project.settings, "declared")[1] == until


def test_the_past_is_read_from_a_file_and_a_pushed_row_replaces_one_of_it(pushed):
    project = pushed("source: {kind: push, key: [order_no], path: data/declared.csv}")
    push.keep(project.settings, "declared", [row(5000, units=1.0), row(1)])
    start, until = project.spec.clock.start, datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=1)
    rows = project.source.fetch(start, until)["rows"]
    assert len(rows) == 601 and rows["order_no"].is_unique
    assert rows.set_index("order_no")["units"][5000] == 1.0
    assert (rows["available_at"] < pd.Timestamp("2025-01-01", tz="UTC")).sum() == 599
    middle = rows["available_at"].iloc[300].to_pydatetime()
    assert len(project.source.fetch(start, middle)["rows"]) + len(project.source.fetch(middle, until)["rows"]) == 602
