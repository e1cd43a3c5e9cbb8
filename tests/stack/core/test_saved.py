"""Settings that the browser has saved: beneath the environment and `.env`, above the defaults."""

from pathlib import Path

import pytest

from stack.core import saved
from stack.core.errors import StackError
from stack.core.settings import Settings, load


@pytest.fixture
def home(tmp_path) -> Path:
    saved.path(tmp_path).write_text("STACK_TITLE='Attic $HOME'\nSTACK_BACKUP_DAILY=3\nSTACK_MLFLOW_PORT=1\n")
    return tmp_path


def test_they_count_where_neither_environment_nor_file_say_otherwise(home, tmp_path):
    file = tmp_path / ".env"
    file.write_text(f"STACK_HOME={home}\nSTACK_BACKUP_DAILY=2\n")

    settings = load({}, file)
    assert (settings.title, settings.backup_daily, settings.backup_weekly) == ("Attic $HOME", 2, 4)
    assert settings.mlflow_port == 5000  # no setting of the browser
    assert load({"STACK_TITLE": "Cellar"}, file).title == "Cellar"


def test_what_is_saved_later_is_taken_up_and_not_handed_on_as_chosen_by_the_user(home):
    settings = load({"STACK_HOME": str(home), "STACK_BACKUP_DAILY": "7"}, Path("/dev/null"))
    saved.path(home).write_text("STACK_TITLE='Cellar'\nSTACK_BACKUP_DAILY=1\n")

    renewed = settings.renewed()
    assert (settings.title, renewed.title, renewed.backup_daily) == ("Attic $HOME", "Cellar", 7)
    environment = renewed.environment()
    assert environment["STACK_BACKUP_DAILY"] == "7" and "STACK_TITLE" not in environment
    assert load(environment, Path("/dev/null")) == renewed


def test_what_is_not_valid_is_named_with_its_place(home):
    saved.path(home).write_text("STACK_BACKUP_DAILY=often")
    with pytest.raises(StackError, match=r"settings\.env, key STACK_BACKUP_DAILY"):
        load({"STACK_HOME": str(home)}, Path("/dev/null"))


def test_another_user_reads_none(home, monkeypatch):
    monkeypatch.setattr(saved.os, "access", lambda path, mode: path != saved.path(home))
    assert load({"STACK_HOME": str(home)}, Path("/dev/null")).title == "Home-lab MLOps"


def test_every_one_is_a_setting():
    assert {*saved.FIELDS} <= {*Settings.model_fields}
