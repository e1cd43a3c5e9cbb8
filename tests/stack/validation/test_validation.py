import json
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import great_expectations.expectations as gxe
import pandas as pd
import pytest

from stack.core import clock, settings
from stack.lake import lake
from stack.project import Project
from stack.specification import specs
from stack.validation import validation

SINCE, UNTIL = datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 5, 2, tzinfo=UTC)


def suites():
    return {
        "readings": [
            gxe.ExpectColumnValuesToBeBetween(
                column="celsius", min_value=-50, max_value=60, mostly=0.8, meta={"scope": "row"}, description="weather"
            ),
            gxe.ExpectColumnValuesToBeInSet(
                column="room", value_set=["attic"], severity="warning", description="a known room"
            ),
        ],
        "readings_by_day": [
            gxe.ExpectColumnValuesToBeBetween(column="rows", min_value=3, description="three readings a day")
        ],
    }


def prepare(tables, history, since, until):
    readings = tables["readings"]
    kelvin = readings["celsius"] + 273.15
    days = pd.DataFrame({"rows": [len(readings)]}, index=[f"{until:%Y-%m-%d}"])
    return {"readings": readings.assign(kelvin=kelvin), "readings_by_day": days}


@pytest.fixture
def spec(monkeypatch):
    checks = ModuleType("projects.house.checks")
    checks.COLUMNS, checks.HISTORY = {"readings": ["celsius", "room"]}, timedelta(days=7)
    checks.prepare, checks.suites = prepare, suites
    monkeypatch.setitem(sys.modules, "projects.house.checks", checks)
    raw = {
        "name": "house",
        "title": "Is it cold?",
        "label": "cold",
        "clock": {"start": "2024-05-01T00:00:00Z"},
        "tables": {"readings": {"key": ["id"]}},
        "request": {},
        "features": {"service": "house_v1", "entities": [], "columns": {"celsius": "number"}},
    }
    return specs.parse(raw, Path("projects/house/project.yaml"))


@pytest.fixture
def home(tmp_path):
    return settings.load({"STACK_HOME": str(tmp_path)}, tmp_path / "none.env")


def readings(count=10, **columns):
    known = [SINCE + timedelta(hours=1 + number) for number in range(count)]
    frame = {"id": range(count), "celsius": 20.0, "room": "attic", "available_at": pd.to_datetime(known, utc=True)}
    return pd.DataFrame(frame | columns)


def check(home, spec, frame, history=None):
    past = {} if history is None else {"readings": history}
    return validation.validate(Project(home, spec), {"readings": frame}, past, SINCE, UNTIL)


def test_a_clean_batch_passes_unchanged(home, spec):
    batch = readings()
    verdict = check(home, spec, batch)
    assert (verdict.accepted, verdict.quarantined_rows, verdict.failures, verdict.warnings) == (True, 0, [], [])
    pd.testing.assert_frame_equal(verdict.tables["readings"], batch)
    assert verdict.page.is_file()
    assert not home.quarantine.exists()


def test_a_wrong_row_is_taken_out_and_kept(home, spec):
    batch = readings(celsius=[20.0] * 9 + [451.0])
    batch.index = batch.index + 100
    verdict = check(home, spec, batch)
    assert verdict.accepted
    assert verdict.quarantined_rows == 1
    assert list(verdict.tables["readings"]["id"]) == list(range(9))
    assert verdict.warnings == ["readings.celsius: expected weather; found 1 of 10 wrong (451); taken out"]
    folder = home.quarantine / "house" / "20240501T000000Z_20240502T000000Z"
    assert list(pd.read_parquet(folder / "readings.parquet")["id"]) == [9]
    written = json.loads((folder / "verdict.json").read_text())
    assert (written["accepted"], written["quarantined"]) == (True, {"readings": 1})


def test_a_batch_with_too_many_wrong_rows_is_refused_whole(home, spec):
    verdict = check(home, spec, readings(celsius=[451.0] * 3 + [20.0] * 7))
    assert not verdict.accepted
    assert verdict.tables == {}
    assert verdict.quarantined_rows == 10
    assert verdict.failures == ["readings.celsius: expected weather; found 3 of 10 wrong (451)"]
    folder = home.quarantine / "house" / lake.batch_id(SINCE, UNTIL)
    assert len(pd.read_parquet(folder / "readings.parquet")) == 10
    written = json.loads((folder / "verdict.json").read_text())
    assert written["failures"] == verdict.failures
    assert (home.data_docs / written["page"]) == verdict.page


def test_a_warning_does_not_refuse(home, spec):
    verdict = check(home, spec, readings(room=["attic"] * 9 + ["cellar"]))
    assert verdict.accepted
    assert verdict.quarantined_rows == 0
    assert verdict.warnings == ["readings.room: expected a known room; found 1 of 10 wrong (cellar)"]


def test_a_derived_frame_names_its_day(home, spec):
    verdict = check(home, spec, readings(2))
    assert verdict.failures == [
        "readings_by_day.rows: expected three readings a day; found 1 of 1 wrong (2024-05-02: 2)"
    ]


@pytest.mark.parametrize(
    ("batch", "history", "message"),
    [
        (readings().drop(columns="celsius"), None, "found no celsius"),
        (pd.DataFrame(), None, "found no available_at, celsius, id, room"),
        (readings(celsius="20 °C"), None, "found 1 of 1 wrong (TypeError"),
        (pd.concat([readings(), readings(1)]), None, "expected one row of each id; found 2 of 11 wrong (0"),
        (readings(), readings(1, id=[7]), "expected rows not delivered before; found 1 of 10 wrong (7)"),
        (readings(id=[None, *range(9)]), None, "expected id in every row; found 1 of 10 wrong"),
        (readings(30), None, "expected available_at in the window; found 6 of 30 wrong (2024-05-02 01:00:00+00:00"),
    ],
    ids=["column", "table", "type", "twice", "again", "key", "window"],
)
def test_a_broken_delivery_is_refused(home, spec, batch, history, message):
    verdict = check(home, spec, batch, history)
    assert not verdict.accepted
    assert message in " ".join(verdict.failures)


def test_the_start_of_the_window_is_outside_and_its_end_inside(home, spec):
    edges = pd.to_datetime([SINCE, SINCE + timedelta(microseconds=1), UNTIL], utc=True)
    verdict = check(home, spec, readings(3, available_at=edges))
    assert "found 1 of 3 wrong (2024-05-01 00:00:00+00:00)" in " ".join(verdict.failures)


def test_validating_again_replaces_page_and_quarantine(home, spec):
    refused = check(home, spec, readings(2))
    accepted = check(home, spec, readings())
    assert refused.page == accepted.page
    assert list((home.quarantine / "house").iterdir()) == []
    assert "1 batches validated: 1 accepted" in (home.data_docs / "house" / "index.html").read_text()


def test_pages_need_nothing_from_the_internet(home, spec):
    check(home, spec, readings(celsius=[451.0] * 9 + [20.0], room="cellar"))
    pages = sorted(home.data_docs.glob("house/**/*.html"))
    assert [page.parent.name for page in pages] == ["expectations", "house", "validations"]
    for page in pages:
        html = page.read_text()
        assert re.findall(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=[\"'](?:https?:)?//[^\"']*", html) == []
        assert re.findall(r"url\([\"']?(?:https?:)?//[^)]*|@import", html) == []
        links = re.findall(r"(?:src|href)=[\"'](?!#|https?:|data:)([^\"'?#]+)", html)
        assert links
        assert [link for link in links if not (page.parent / link).resolve().is_file()] == []


def test_the_index_shows_the_latest_first_with_its_reasons(home, spec):
    check(home, spec, readings())
    later = timedelta(days=1)
    batch = readings(2).assign(available_at=lambda frame: frame["available_at"] + later)
    validation.validate(Project(home, spec), {"readings": batch}, {}, SINCE + later, UNTIL + later)
    html = (home.data_docs / "house" / "index.html").read_text()
    assert "2 batches validated: 1 accepted" in " ".join(html.split())
    assert html.index("2024-05-02 00:00 to") < html.index("2024-05-01 00:00 to")
    assert "three readings a day; found 1 of 1 wrong" in html


def test_pages_and_quarantine_are_kept_for_as_long_as_the_settings_say(home, spec, monkeypatch):
    monkeypatch.setattr(clock, "FAR", timedelta.max)  # as on a machine whose clock has been watched for years
    check(home, spec, readings(2))
    now, later = datetime.now(UTC), timedelta(days=1)
    batch = readings().assign(available_at=lambda frame: frame["available_at"] + later)
    pages = home.data_docs / "house" / "validations"
    written = [*pages.glob("*.json"), *(home.quarantine / "house").glob("*/verdict.json")]
    for kept, batches in ((home.keep_days - 1, 2), (home.keep_days + 1, 1)):
        for path in written:
            os.utime(path, ((now - timedelta(days=kept)).timestamp(),) * 2)
        validation.validate(Project(home, spec), {"readings": batch}, {}, SINCE + later, UNTIL + later, now)
        assert len(list(pages.glob("*.html"))) == batches
        assert len(list((home.quarantine / "house").iterdir())) == batches - 1
    assert "1 batches validated" in (home.data_docs / "house" / "index.html").read_text()


def test_a_source_that_stays_broken_is_in_quarantine_once(home, spec):
    for days in (1, 2, 3):
        validation.validate(Project(home, spec), {"readings": readings(2)}, {}, SINCE, SINCE + timedelta(days=days))
    longest = lake.batch_id(SINCE, SINCE + timedelta(days=3))

    assert [folder.name for folder in (home.quarantine / "house").iterdir()] == [longest]
    assert len(list((home.data_docs / "house" / "validations").glob("*.html"))) == 3
