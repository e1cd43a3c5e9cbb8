"""Rows that come again, corrected or not, end no ingest: from then on the later one counts."""

import math
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest

from stack.core import settings as core_settings
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import specs
from stack.validation import batches
from tests.polling import eventually
from tests.stack.authoring.scaffolds import Folder

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
COLUMNS = """columns:
  at: {type: datetime, role: time}
  meter: {type: integer, role: key, example: 1}
  changed_at: {type: datetime, role: known}
  warm: {type: number, example: 20.0}
  load: {type: number}
"""


@pytest.fixture
def meters(tmp_path, monkeypatch):
    """A project of meters with a source."""
    folder = Folder(tmp_path, monkeypatch)
    (folder.root / "projects" / "meters").mkdir()

    def project(source: str, columns: str = COLUMNS) -> Project:
        head = f"name: meters\ntitle: How much?\ntask: regression\nlabel: load\nclock: {{start: {START.isoformat()}}}\n"
        (folder.root / "projects" / "meters" / "project.yaml").write_text(f"{head}source: {source}\n{columns}")
        return Project(core_settings.settings(), specs.load("meters"))

    with core_settings.using(Settings(home=tmp_path / "home", workspace=folder.root)):
        yield project


def ingest(project: Project, since: datetime, until: datetime) -> dict[int, float]:
    tables = batches.fetch(project, since, until)
    result = batches.validate(project, tables, since, until)
    batches.require_accepted(project, result)
    project.lake.append(result.tables, since, until)
    batches.release(project, until)
    rows = project.lake.read()["rows"]
    assert not rows.duplicated(["meter", "at"]).any()
    return dict(zip(rows["meter"], rows["load"], strict=True))


def test_a_row_of_a_database_that_changes_comes_again(meters, tmp_path):
    written = tmp_path / "meters.db"
    with sqlite3.connect(written) as connection:
        connection.execute("CREATE TABLE meters (at DATETIME, meter INT, changed_at DATETIME, warm REAL, load REAL)")
        rows = [("2024-05-01 00:10:00", meter, "2024-05-01 00:20:00", 20.0, float(meter)) for meter in range(1, 31)]
        connection.executemany("INSERT INTO meters VALUES (?, ?, ?, ?, ?)", rows)
    project = meters(f"{{kind: sql, url: 'sqlite:///{written}', table: meters, key: [meter, at]}}")
    assert ingest(project, START, START + HOUR)[1] == 1.0
    with sqlite3.connect(written) as connection:
        connection.execute("UPDATE meters SET load = 9.0, changed_at = '2024-05-01 01:30:00' WHERE meter = 1")
        connection.execute("UPDATE meters SET changed_at = '2024-05-01 01:31:00' WHERE meter = 2")
    after = ingest(project, START + HOUR, START + 2 * HOUR)
    assert (after[1], after[2], len(after)) == (9.0, 2.0, 30)
    assert project.lake.read(until=START + HOUR)["rows"]["load"].max() == 30.0


def test_a_file_that_is_dropped_in_again_changes_what_it_corrects(meters, tmp_path):
    inbox = tmp_path / "inbox"
    inbox.mkdir()

    def drop(name: str, loads: dict[int, float]) -> datetime:
        lines = [f"2024-05-01T00:10:00Z,{meter},20.0,{load}" for meter, load in loads.items()]
        (inbox / name).write_text("\n".join(["at,meter,warm,load", *lines]))
        return datetime.fromtimestamp(math.ceil((inbox / name).stat().st_ctime), UTC)

    columns = COLUMNS.replace("  changed_at: {type: datetime, role: known}\n", "")
    project = meters(f"{{kind: folder, path: {inbox}, key: [meter, at], settled: PT0S}}", columns)
    first = drop("one.csv", {meter: float(meter) for meter in range(1, 31)})
    assert len(ingest(project, START, first)) == 30
    again = {1: 9.0, 2: 2.0, 31: 31.0}
    eventually(lambda: drop("two.csv", again) > first)  # files of one second come together
    after = ingest(project, first, drop("two.csv", again))
    assert (after[1], after[2], after[31], len(after)) == (9.0, 2.0, 31.0, 31)


def test_of_two_files_of_one_window_the_later_row_counts(meters, tmp_path):
    inbox = tmp_path / "inbox"
    lines = ["at,meter,warm,load", *(f"2024-05-01T00:10:00Z,{meter},20.0,1.0" for meter in range(30))]
    inbox.mkdir()
    columns = COLUMNS.replace("  changed_at: {type: datetime, role: known}\n", "")
    project = meters(f"{{kind: folder, path: {inbox}, key: [meter, at], settled: PT0S}}", columns)
    (inbox / "a.csv").write_text("\n".join(lines))
    (inbox / "b.csv").write_text("\n".join([lines[0], lines[1].replace("1.0", "9.0")]))
    until = datetime.fromtimestamp(math.ceil((inbox / "b.csv").stat().st_ctime), UTC)
    after = ingest(project, START, until)
    assert (after[0], after[1], len(after)) == (9.0, 1.0, 30)
