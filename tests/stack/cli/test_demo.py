"""A demo plays once, and is read-only from then on; what it runs takes minutes, so that only the order is asked."""

from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from stack.cli import demo, main


@pytest.fixture
def ran(tmp_path, monkeypatch):
    """The commands that were run, each with whether the stack was read-only; the second replay fails."""
    commands = []
    codes = iter([0, 0, 0, 0, 0, 0, 1])

    def run(command, *, env, check):
        commands.append((command[3], env.get("STACK_READ_ONLY", "false")))
        assert not check and env["STACK_HOME"].endswith("/demo")
        return SimpleNamespace(returncode=next(codes))

    monkeypatch.setattr(demo, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(demo, "PLAYED", tmp_path / "played")
    return commands


def test_it_plays_once_and_further_when_asked(ran):
    def show(*words: str) -> int:
        return CliRunner().invoke(main, ["demo", *words]).exit_code

    assert show("--until", "2013-03-10") == 0
    assert ran == [("up", "false"), ("replay", "false"), ("report", "false"), ("up", "true")]
    assert show("--until", "2013-03-05") == 0
    assert ran[4:] == [("up", "true")]
    assert show() == 1, "a replay that fails is not shown as played"
    assert ran[5:] == [("up", "false"), ("replay", "false")]
