"""Predictions without a label are found, the newest first, and a label is taken back only where it is the one meant."""

from datetime import datetime, timedelta

import pytest

from stack.core.database import engine
from stack.core.settings import Settings
from stack.prediction_log import unlabelled
from stack.project import Project
from stack.specification import specs
from tests.stack.prediction_log.test_predictions import ASKED, FLIGHT, prediction


@pytest.fixture
def project(tmp_path) -> Project:
    """Flights with three predictions, an hour apart."""
    opened = Project(Settings(home=tmp_path), specs.load("flights"))
    opened.log.write([prediction(name, asked_at=ASKED + timedelta(hours=at)) for at, name in enumerate("abc")])
    return opened


def ids(project: Project, count: int = 10, name: str = "flights") -> list[str]:
    return [row.id for row in unlabelled.newest(project.settings.state_database, name, count)]


def test_the_newest_without_a_label_are_read_with_request_and_answer(project):
    project.log.label_predictions({"b": (1.0, ASKED)})
    assert ids(project) == ["c", "a"] and ids(project, 1) == ["c"] and ids(project, name="titanic") == []
    (row,) = unlabelled.newest(project.settings.state_database, "flights", 1)
    assert row.answer == {"probability": 0.25, "decision": False} and row.model_version == "1"
    assert datetime.fromisoformat(row.request["sched_dep"]) == FLIGHT["sched_dep"]
    assert datetime.fromisoformat(row.asked_at).hour == 8


def test_no_label_is_looked_for_beyond_the_last_predictions(project, monkeypatch):
    monkeypatch.setattr(unlabelled, "NEWEST", 2)
    assert ids(project) == ["c", "b"]


def test_a_row_that_cannot_be_read_is_left_out(project):
    with engine(project.settings.state_database).begin() as connection:
        connection.exec_driver_sql("UPDATE predictions SET answer = '{' WHERE id = 'b'")
    assert ids(project) == ["c", "a"]


def test_a_label_is_removed_where_it_is_the_one_that_was_meant(project):
    database = project.settings.state_database
    project.log.label_predictions({"a": (1.0, ASKED), "b": (0.0, ASKED)})
    assert not unlabelled.remove_label(database, "flights", "b", 1.0)
    assert not unlabelled.remove_label(database, "titanic", "a", 1.0)
    assert unlabelled.remove_label(database, "flights", "a", 1.0)
    assert unlabelled.labels(database, "flights", ["a", "b", "z"]) == {"a": None, "b": 0.0}
