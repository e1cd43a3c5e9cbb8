"""An ingest is started when pushed rows wait: one a minute, none beside another, rarely one that takes nothing in."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from stack.core import settings as core_settings
from stack.core.settings import Settings
from stack.ops import pushed
from stack.sources import inbox, push
from tests.stack.authoring.scaffolds import Folder, flowers, sales

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


class Runs:
    """Prefect, which notes what was started."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.running = False

    def active(self, flow: str, project: str) -> str | None:
        return "run" if self.running else None

    def start(self, flow: str, project: str, parameters: dict[str, str]) -> str:
        self.started.append(f"{flow}/{project} {json.dumps(parameters)}")
        return "run"


@pytest.fixture
def rows(tmp_path, monkeypatch):
    folder, home = Folder(tmp_path, monkeypatch), Settings(home=tmp_path / "home")
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    folder.write("flowers", flowers(), target="species")
    folder.change(
        "projects/declared/project.yaml", "{path: data/declared.csv, zone: UTC}", "{kind: push, key: [order_no]}"
    )
    following = pushed.PushedRows(home)
    following._runs = Runs()
    with core_settings.using(home):
        yield following


def look(rows: pushed.PushedRows, after: timedelta = timedelta()) -> int:
    """Look at a later time; return the number of runs that were started by then."""
    rows._follow("declared", datetime.now(UTC) + after)
    return len(rows._runs.started)


def test_waiting_rows_start_the_ingest_of_their_project(rows):
    rows.sync()
    assert rows._runs.started == [] and rows._projects == ["declared"]
    push.keep(rows.settings, "declared", [b"{}"])
    rows.sync()
    assert rows._runs.started == ['ingest/declared {"project": "declared"}']


def test_one_a_minute_and_none_beside_another(rows):
    push.keep(rows.settings, "declared", [b"{}"])
    rows._runs.running = True
    assert look(rows) == 0
    rows._runs.running = False
    assert look(rows) == 1 and look(rows, MINUTE / 2) == 1
    inbox.mark_ingested(rows.settings, "declared", datetime.now(UTC), None)
    assert look(rows, 2 * MINUTE) == 1, "the lake has all"
    push.keep(rows.settings, "declared", [b"{}"])
    assert look(rows, MINUTE / 2) == 1 and look(rows, 2 * MINUTE) == 2


def test_what_takes_nothing_in_is_tried_more_and_more_rarely(rows):
    push.keep(rows.settings, "declared", [b"{}"])
    counts = [look(rows, minute * MINUTE) for minute in range(400)]
    minutes = [minute for minute in range(1, 400) if counts[minute] > counts[minute - 1]]
    assert minutes[:5] == [1, 3, 7, 15, 31] and minutes[-1] - minutes[-2] == 60
