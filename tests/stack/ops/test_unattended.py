"""What is done while the portal is stopped: the stack runs again whatever comes of it, unless its state is gone."""

import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from stack.core import migrations
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import archive, runtimes, unattended, versions
from tests.polling import eventually


class FakeRuntime:
    """Notes what it is asked to do; a restore ends as it is told to."""

    def __init__(self, restoring) -> None:
        self.calls, self._restoring = [], restoring

    def down(self):
        self.calls.append("down")
        return ["portal"]

    def up(self, report):
        self.calls.append("up")

    def restore(self, file, at, report, *, replace):
        assert replace
        self.calls.append("restore")
        self._restoring()


@pytest.fixture
def stack(tmp_path):
    """A stack that has run."""
    settings = Settings(home=tmp_path / "var")
    versions.write(settings)
    return settings


def restored(stack, monkeypatch, restoring=lambda: None, verify=lambda file: None):
    """Restore with a fake runtime, and return what it was asked and how it ended."""
    runtime = FakeRuntime(restoring)
    monkeypatch.setattr(runtimes, "current", lambda settings: runtime)
    monkeypatch.setattr(archive, "verify", verify)
    try:
        unattended.restore(stack, stack.home / "stack-x.tar.gz", lambda line: None)
    except StackError as error:
        return runtime.calls, str(error)
    return runtime.calls, ""


def failing(*_):
    raise StackError("archive", found="rot", expected="none")


def test_a_restore_stops_the_stack_and_starts_it_again(stack, monkeypatch):
    assert restored(stack, monkeypatch) == (["down", "restore", "up"], "")


def test_a_broken_archive_stops_nothing(stack, monkeypatch):
    calls, error = restored(stack, monkeypatch, verify=failing)
    assert calls == [] and "rot" in error


def test_a_refused_restore_starts_the_stack_as_it_was(stack, monkeypatch):
    calls, error = restored(stack, monkeypatch, restoring=failing)
    assert calls == ["down", "restore", "up"] and "rot" in error


def test_a_stack_whose_state_is_gone_is_not_started_empty(stack, monkeypatch):
    def broken_off():
        versions.file(stack).unlink()
        failing()

    calls, error = restored(stack, monkeypatch, restoring=broken_off)
    assert calls == ["down", "restore"] and "rot" in error


def test_a_killed_task_is_not_taken_for_one_at_work(stack, monkeypatch):
    migrations.upgrade(stack.state_database)
    ended = subprocess.Popen([sys.executable, "-c", ""])  # nobody has asked for its exit code: a zombie
    monkeypatch.setattr(unattended, "os", SimpleNamespace(getpid=lambda: ended.pid))
    eventually(lambda: psutil.Process(ended.pid).status() == psutil.STATUS_ZOMBIE)
    during = []
    assert unattended.run(stack, "restart", lambda report: during.append(unattended.read(stack)), "me") == 0
    assert [(progress.state, progress.running) for progress in during] == [("running", False)]
    assert unattended.read(stack).state == "done"
