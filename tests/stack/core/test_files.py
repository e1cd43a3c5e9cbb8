"""A file is replaced as a whole, or stays as it was."""

import subprocess
import sys

import pytest

from stack.core import files


@pytest.mark.parametrize("content", ["text", b"text", lambda new: new.write_text("text")])
def test_content_is_written_and_nothing_else_is_left(tmp_path, content):
    files.write(tmp_path / "in" / "file", content, durable=True)
    assert [(path.name, path.read_text()) for path in (tmp_path / "in").iterdir()] == [("file", "text")]


def test_failing_writer_leaves_the_former_content(tmp_path):
    files.write(tmp_path / "file", "before")
    with pytest.raises(ValueError, match="half"), files.replacing(tmp_path / "file") as new:
        new.write_text("aft")
        raise ValueError("half way")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"


def test_killed_writer_leaves_the_former_content_and_is_followed_by_another(tmp_path):
    files.write(tmp_path / "file", "before")
    code = (
        "import os, signal, sys; from pathlib import Path; from stack.core import files\n"
        "files.write(Path(sys.argv[1]), lambda new: (new.write_text('aft'), os.kill(os.getpid(), signal.SIGKILL)))"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "file")], check=False).returncode < 0
    assert (tmp_path / "file").read_text() == "before"
    files.write(tmp_path / "file", "after")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"file": "after"}


def test_mode_holds_from_the_first_byte(tmp_path):
    with files.replacing(tmp_path / "secret", mode=0o600) as new:
        assert new.stat().st_mode & 0o777 == 0o600
        new.write_text("word")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
