"""A container applies what is new by the commands of the one-shot services, and says what one that fails said."""

import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import runtimes
from stack.ops.inside import runtime


@pytest.fixture
def inside(tmp_path):
    return runtimes.current(Settings(home=tmp_path, runtime="inside"))


def test_notices_are_reported_and_the_rest_is_not(inside, tmp_path, monkeypatch):
    (tmp_path / "noted.py").write_text("from stack.core import notices\nprint('more')\nnotices.emit('left out: town')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(runtime, "COMMANDS", (("noted",),))
    said: list[str] = []
    inside.apply_changes(said.append)
    assert [line.strip() for line in said] == ["left out: town"]


def test_a_command_that_fails_is_named_with_its_words(inside, monkeypatch):
    monkeypatch.setattr(runtime, "COMMANDS", (("no_such_module",), ("stack", "--version")))
    with pytest.raises(StackError, match=r"no_such_module:\n.*exit code 1\n.*No module named no_such_module"):
        inside.apply_changes(print)
