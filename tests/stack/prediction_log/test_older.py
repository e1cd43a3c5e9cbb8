"""Move old predictions into files, exactly once."""

import json
from datetime import UTC, datetime

import duckdb
import numpy as np
import pytest
from sqlalchemy import func, select

from stack.core import migrations
from stack.core.database import engine, predictions, shadows
from stack.core.settings import Settings
from stack.prediction_log import older, pruning
from stack.prediction_log.predictions import PredictionLog
from stack.specification import specs
from tests.stack.prediction_log.test_predictions import ASKED, FLIGHT, prediction

NOW = datetime(2024, 6, 15, tzinfo=UTC)
JANUARY, FEBRUARY = (datetime(2024, month, 10, tzinfo=UTC) for month in (1, 2))


@pytest.fixture
def settings(request, tmp_path, monkeypatch) -> Settings:
    """Return a stack whose log is read and deleted two rows at a time."""
    monkeypatch.setattr(pruning, "PRUNED_AT_ONCE", 2)
    monkeypatch.setattr(older, "ROWS", 2)
    if getattr(request, "param", "sqlite") == "sqlite":
        return Settings(home=tmp_path)
    database = request.getfixturevalue("postgres")
    migrations.upgrade(database)
    return Settings(home=tmp_path, state_database=database)


@pytest.fixture
def log(settings) -> PredictionLog:
    """Return a log of five predictions of January, one of February and one of the last 90 days."""
    log = PredictionLog(settings.state_database, specs.load("flights"))
    log.write([prediction(name, answered_at=JANUARY) for name in "abcde"])
    log.write([prediction("feb", answered_at=FEBRUARY), prediction("new", answered_at=NOW)])
    log.label_predictions({"a": (1.0, ASKED)})
    return log


def in_files(settings: Settings) -> list[str]:
    return sorted(row for (row,) in ask(settings, "select id from {files}"))


def in_database(settings: Settings) -> list[str]:
    with engine(settings.state_database).connect() as connection:
        return sorted(connection.execute(select(predictions.c.id)).scalars())


def ask(settings: Settings, query: str) -> list[tuple]:
    files = f"'{settings.older_predictions}/flights/*.parquet'"
    with duckdb.connect() as connection:
        return connection.execute("set timezone = 'UTC'; " + query.format(files=files)).fetchall()


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_what_leaves_the_database_is_in_a_file_of_its_month(settings, log):
    log.write_shadows("8", [prediction("a")], np.array([[0.75]]), 0.5)
    assert pruning.prune(settings, NOW) == 6
    assert pruning.prune(settings, NOW) == 0
    assert in_database(settings) == ["new"]
    names = {path.name for path in (settings.older_predictions / "flights").iterdir()}
    assert names == {"2024-01.parquet", "2024-02.parquet"} and in_files(settings) == ["a", "b", "c", "d", "e", "feb"]
    query = (
        "select asked_at, answered_at, request, (answer->>'probability')::double, label, label_at, shadows['8'] "
        "from {files} where id = 'a'"
    )
    ((asked, answered, request, probability, label, known, shadow),) = ask(settings, query)
    assert (asked, answered, label, known) == (ASKED, JANUARY, 1.0, ASKED)
    assert json.loads(request).keys() == FLIGHT.keys() and probability == 0.25
    assert json.loads(shadow)["probability"] == 0.75
    with engine(settings.state_database).connect() as connection:
        assert connection.execute(select(func.count()).select_from(shadows)).scalar() == 0


@pytest.mark.parametrize("batches", [0, 1, 2])
def test_a_move_that_was_killed_is_completed_and_repeats_nothing(settings, log, monkeypatch, batches):
    """It is killed when the file is there, and so many batches of two are deleted."""

    class Killed(BaseException):
        pass

    begins, real = iter(range(9)), pruning.delete

    def delete(table):
        if table is shadows and next(begins) == batches:
            raise Killed
        return real(table)

    monkeypatch.setattr(pruning, "delete", delete)
    with pytest.raises(Killed):
        pruning.prune(settings, NOW)
    assert len(in_database(settings)) == 7 - 2 * batches
    log.label_predictions({"e": (0.0, ASKED)})
    monkeypatch.setattr(pruning, "delete", real)
    pruning.prune(settings, NOW)
    assert in_files(settings) == ["a", "b", "c", "d", "e", "feb"] and in_database(settings) == ["new"]
    assert dict(ask(settings, "select id, label from {files} where label is not null")) == {"a": 1.0, "e": 0.0}


@pytest.mark.parametrize("settings", ["sqlite", "postgresql"], indirect=True)
def test_a_label_that_comes_while_its_month_is_moved_is_kept(settings, log, monkeypatch):
    """It comes when the file is written, and nothing is deleted yet."""
    real = older.write

    def write(*arguments):
        real(*arguments)
        monkeypatch.setattr(older, "write", real)
        log.label_predictions({"a": (0.0, ASKED), "d": (1.0, ASKED)})

    monkeypatch.setattr(older, "write", write)
    pruning.prune(settings, NOW)
    assert in_files(settings) == ["a", "b", "c", "d", "e", "feb"] and in_database(settings) == ["new"]
    assert dict(ask(settings, "select id, label from {files} where label is not null")) == {"a": 0.0, "d": 1.0}


def test_a_month_stays_until_all_of_it_is_old(settings, log):
    assert pruning.prune(settings, datetime(2024, 4, 29, tzinfo=UTC)) == 0
    assert pruning.prune(settings, datetime(2024, 5, 1, 12, tzinfo=UTC)) == 5
    assert in_database(settings) == ["feb", "new"]


def test_a_row_that_cannot_be_read_moves_too(settings, log):
    with engine(settings.state_database).begin() as connection:
        connection.exec_driver_sql("update predictions set asked_at = 'x', request = '{' where id = 'b'")
    pruning.prune(settings, NOW)
    assert ask(settings, "select asked_at, request from {files} where id = 'b'") == [(None, "{")]
