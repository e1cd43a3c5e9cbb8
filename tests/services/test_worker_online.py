"""The process that brings features of pushed rows online runs where it is needed, and sees the files as they are."""

import os

import pytest

from services.worker import online
from tests.polling import eventually
from tests.stack.authoring.scaffolds import Folder, sales
from tests.stack.sources.test_push import PUSHED, SOURCE


@pytest.fixture
def child(monkeypatch):
    monkeypatch.setattr(online, "COMMAND", ["sleep", "600"])
    child = online.Child()
    yield child
    if child.process:
        child.process.kill()
        child.process.wait()


def test_it_runs_while_a_project_takes_pushed_rows(tmp_path, monkeypatch, child):
    folder, file = Folder(tmp_path, monkeypatch), tmp_path / "projects" / "declared" / "project.yaml"
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    child.sync()
    assert child.process is None

    folder.change("projects/declared/project.yaml", SOURCE, PUSHED)
    child.sync()
    first = child.process
    child.sync()
    assert child.process is first and first.poll() is None

    first.kill()
    eventually(lambda: first.poll() is not None)
    child.sync()
    second = child.process
    assert second is not first and second.poll() is None, "it comes back"

    os.utime(file, (1, 1))
    child.sync()
    assert child.process is not second and second.poll() is not None, "it knows the changed file"

    file.unlink()
    last = child.process
    child.sync()
    assert child.process is None and last.poll() is not None
