import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stack.core.settings import ROOT
from stack.ops import bootstrap


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The files that the set-up reads, in a folder without .venv."""
    for path in [*ROOT.glob("requirements*.lock"), ROOT / "pyproject.toml"]:
        shutil.copy(path, tmp_path / path.name)
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    return tmp_path


def test_a_finished_set_up_is_left_alone_until_a_lock_changes(clone, monkeypatch):
    installed = []
    monkeypatch.setattr(bootstrap, "install", lambda kind: installed.append(kind) or make(clone))

    assert [bootstrap.main([]), bootstrap.main([])] == [0, 0]
    assert installed == ["runtime"]

    bootstrap.main(["--dev"])
    assert (installed, bootstrap.main([])) == (["runtime", "dev"], 0)

    (clone / "requirements.lock").write_text("changed")
    bootstrap.main([])
    assert installed == ["runtime", "dev", "runtime"]


def test_the_data_of_examples_comes_when_asked_for_and_without_its_dependencies(clone, monkeypatch):
    ran = []
    monkeypatch.setattr(bootstrap, "_run", lambda *command: ran.append([str(word) for word in command]) or make(clone))

    bootstrap.main([])
    assert not any("requirements-examples.lock" in word for command in ran for word in command)

    bootstrap.main(["--examples"])
    (data,) = [command for command in ran if command[-1] == "--no-deps"]
    assert data[-2] == str(clone / "requirements-examples.lock") and "--require-hashes" in data
    before = len(ran)
    assert [bootstrap.main([]), bootstrap.main(["--examples"])] == [0, 0]
    assert len(ran) == before


def test_boosters_come_from_a_lock_of_their_own_and_later_set_ups_keep_to_it(clone, monkeypatch):
    ran = []
    monkeypatch.setattr(bootstrap, "_run", lambda *command: ran.append([str(word) for word in command]) or make(clone))
    lock = clone / "requirements-boosters.lock"

    assert bootstrap.main(["--boosters"]) == 0
    assert [command[-1] for command in ran if str(lock) in command] == ["--no-deps"]
    before = len(ran)
    assert bootstrap.main([]) == 0 and len(ran) == before

    lock.write_text("changed")
    assert bootstrap.main([]) == 0
    assert [command for command in ran[before:] if str(lock) in command]


def test_an_unknown_extra_is_refused(clone, capsys):
    assert bootstrap.main(["--bosters"]) == 1
    assert "bosters" in capsys.readouterr().err


def make(folder: Path) -> None:
    (folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
    (folder / ".venv" / "bin" / "python").touch()


def test_a_python_without_venv_says_what_to_install(clone, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.importlib.util, "find_spec", lambda name: None)

    assert bootstrap.main([]) == 1
    assert f"apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv" in capsys.readouterr().err


def test_an_old_python_says_what_is_needed(clone, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 9, 1))
    monkeypatch.setattr(bootstrap.shutil, "which", lambda name: None)

    assert bootstrap.main([]) == 1
    assert "Python 3.9.1 found, 3.11 or newer needed" in capsys.readouterr().err


def test_needs_only_the_standard_library():
    code = "import stack.ops.bootstrap, sys; print(sys.flags.isolated)"

    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
