"""The prediction log is read page by page, and by day, in SQLite and in PostgreSQL alike."""

from datetime import UTC, datetime, timedelta

import pytest

from stack.core import migrations
from stack.core.database import engine
from stack.core.settings import Settings
from stack.prediction_log import logged
from stack.prediction_log.logged import Days, Place
from stack.project import Project
from stack.specification import specs
from tests.stack.prediction_log.test_predictions import ASKED, FLIGHT, prediction

DAY = datetime(ASKED.year, ASKED.month, ASKED.day, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def project(request, tmp_path) -> Project:
    """Flights with eight predictions, of which b and c were asked at the same instant, and g and h a day on."""
    settings = Settings(home=tmp_path)
    if request.param == "postgresql":
        settings = settings.model_copy(update={"state_database": request.getfixturevalue("postgres")})
        migrations.upgrade(settings.state_database)
    opened = Project(settings, specs.load("flights"))
    hours = {"a": 0, "b": 1, "c": 1, "d": 2, "e": 3, "f": 4, "g": 24, "h": 25}
    opened.log.write([prediction(name, asked_at=ASKED + timedelta(hours=at)) for name, at in hours.items()])
    opened.log.label_predictions({"b": (1.0, ASKED), "c": (0.0, ASKED), "g": (1.0, ASKED)})
    return opened


def read(project: Project, count: int, **wishes) -> tuple[str, Place | None]:
    page = logged.page(project.settings.state_database, "flights", count, **wishes)
    return "".join(row.id for row in page.rows), page.last


def pages(project: Project, count: int, **wishes) -> list[str]:
    found, last = read(project, count, **wishes)
    listed = [found]
    while last:
        found, last = read(project, count, before=Place.read(str(last)), **wishes)
        listed.append(found)
    return listed


def test_pages_follow_each_other_without_gap_or_repetition(project):
    assert pages(project, 3) == ["hgf", "edc", "ba"]
    assert pages(project, 5, day=DAY) == ["fedcb", "a"]
    assert pages(project, 10, day=DAY - timedelta(days=1)) == [""]


def test_a_filter_looks_at_so_many_and_goes_on_from_there(project, monkeypatch):
    unlabelled = pages(project, 3, keep=lambda _, label: label is None)
    assert unlabelled == ["hfe", "da"]
    monkeypatch.setattr(logged, "CHUNK", 2)
    monkeypatch.setattr(logged, "LOOKED_AT", 4)
    assert pages(project, 3, keep=lambda answer, label: label == answer["decision"]) == ["", "c", ""]


def test_one_is_read_whole_and_only_of_its_project(project):
    database = project.settings.state_database
    found = logged.one(database, "flights", "b")
    assert found and found.asked_at == ASKED + timedelta(hours=1) and (found.label, found.label_at) == (1.0, ASKED)
    assert datetime.fromisoformat(found.request["sched_dep"]) == FLIGHT["sched_dep"]
    assert found.answer == {"probability": 0.25, "decision": False} and found.reasons is None
    assert logged.one(database, "titanic", "b") is None and logged.one(database, "flights", "z") is None


def test_days_have_their_totals(project):
    database, first = project.settings.state_database, int(DAY.timestamp())
    days = logged.by_day(database, "flights", 7, "probability")
    assert days == Days([first, first + 86_400], [6, 2], [2, 1], [0.25, 0.25])
    assert logged.by_day(database, "flights", 1).rows[-1] == 2 and logged.by_day(database, "titanic", 7) == Days()
    assert logged.since(database, "flights", ASKED + timedelta(hours=4)) == (2, 1)


@pytest.mark.parametrize("project", ["sqlite"], indirect=True)
def test_what_cannot_be_read_is_left_out(project):
    with engine(project.settings.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE predictions SET answer = '{' WHERE id = 'e'")
    assert pages(project, 4) == ["hgf", "dcba", ""]
    assert "e" not in "".join(pages(project, 4, keep=lambda answer, _: not answer["decision"]))


@pytest.mark.parametrize("text", ["", "~", "yesterday~a"])
def test_a_wrong_place_is_refused(text):
    with pytest.raises(ValueError):
        Place.read(text)
