from pathlib import Path

import pytest

from stack.core.errors import StackError
from stack.core.settings import load
from stack.ops.compose import files as copies
from stack.ops.local.runtime import LocalRuntime


def test_processes_are_given_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    runtime = LocalRuntime(load({}, Path("/dev/null")))
    with runtime.files(Path("a.csv"), None, tmp_path / "default.csv", print) as paths:
        assert paths == (str(tmp_path / "a.csv"), None)


def test_a_copy_into_a_container_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("a")
    settings = load({"STACK_NAME": "never-started"}, Path("/dev/null"))

    with pytest.raises((StackError, FileNotFoundError)), copies.lent(settings, tmp_path / "a.csv", None):
        pytest.fail("nothing was copied")


def test_a_folder_is_not_copied_into_a_container(tmp_path):
    with pytest.raises(StackError, match="a folder"), copies.lent(load({}, Path("/dev/null")), tmp_path, None):
        pytest.fail("nothing was copied")
