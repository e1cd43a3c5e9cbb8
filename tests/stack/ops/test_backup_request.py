"""A backup that a container asks for, made by the service that sees all databases."""

from datetime import UTC, datetime
from threading import Thread

import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import archive, backup_request, runtimes, scheduled
from stack.ops.backup_request import Request
from tests.polling import eventually
from tests.stack.ops.local.test_backup import fill

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def stack(tmp_path, toy) -> Settings:
    home = fill(tmp_path / "home", toy).home
    return Settings(home=home, backup_folder=tmp_path / "backups", backup_daily=0, runtime="inside")


def asked(stack: Settings) -> tuple[Thread, list[str]]:
    """Ask in a thread for a backup; gives it, and what is said to the asker."""
    said: list[str] = []

    def ask() -> None:
        try:
            runtimes.current(stack).backup(stack.backup_folder, NOW, said.append)
        except StackError as error:
            said.append(f"error: {error.found}")

    thread = Thread(target=ask)
    thread.start()
    eventually(lambda: backup_request.read(stack))
    return thread, said


def test_it_is_made_once_and_told_to_who_has_asked(stack):
    thread, said = asked(stack)
    scheduled.run(stack, NOW, print)
    thread.join()
    scheduled.run(stack, NOW, print)

    (file,) = stack.backup_folder.iterdir()
    assert file.name == "stack-20261129T120000Z.tar.gz"  # a name that is never thinned
    assert archive.verify(file).counts.predictions == 20
    assert str(file) in said[-1]


def test_a_failure_is_told(stack):
    stack.backup_folder.write_text("no folder")
    thread, said = asked(stack)
    scheduled.run(stack, NOW, print)
    thread.join()

    assert "a folder that user" in "".join(said) and said[-1] == "error: it failed"


def test_without_a_request_or_with_a_damaged_one_nothing_is_made(stack):
    scheduled.run(stack, NOW, print)
    stack.run.mkdir()
    backup_request.path(stack).write_text('{"state')
    scheduled.run(stack, NOW, print)
    backup_request.path(stack).write_text(Request(state="failed").model_dump_json())
    scheduled.run(stack, NOW, print)

    assert not stack.backup_folder.exists()


@pytest.mark.parametrize("given", [{"secrets": True}, {"out": True}])
def test_secrets_and_other_folders_are_left_to_the_machine(stack, tmp_path, given):
    out = tmp_path if "out" in given else stack.backup_folder
    with pytest.raises(StackError, match="make backup, on the machine"):
        runtimes.current(stack).backup(out, NOW, print, secrets=tmp_path if "secrets" in given else None)
