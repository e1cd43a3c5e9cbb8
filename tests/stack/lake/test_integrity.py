"""Every reader of a damaged file of the lake names it with its cure, and it is fetched anew where a remote has it."""

import os
from pathlib import Path

import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import integrity
from stack.project import Project
from tests.stack.lake.lakes import SPEC, append, commits, dvc


def objects(settings: Settings) -> list[Path]:
    return sorted((settings.lake / integrity.OBJECTS).glob("??/*"))


def damage(settings: Settings, kind: str, size: int = 700) -> Path:
    """Cut off an object: data, or a list of files."""
    path = next(path for path in objects(settings) if (path.suffix == ".dir") == (kind == "list"))
    os.truncate(path, size)
    return path


@pytest.mark.parametrize("size", [0, 40, 700])
@pytest.mark.parametrize("kind", ["data", "list"])
def test_reading_a_cut_off_file_names_it_and_the_cure(settings: Settings, kind: str, size: int) -> None:
    append(settings, 0)
    path = damage(settings, kind, size if kind == "data" else size // 10)
    lake = Project(settings, SPEC).lake

    for read in (lake.read, lambda: append(settings, 1), lake.newest):
        with pytest.raises(StackError) as raised:
            read()
        assert raised.value.where == str(path)
        assert "make restore" in raised.value.todo and "dvc pull" in raised.value.todo


def test_the_check_finds_what_reading_does_not(settings: Settings) -> None:
    for day in range(3):
        append(settings, day)
    assert integrity.check(settings) == []

    data, gone = [path for path in objects(settings) if path.suffix != ".dir"][:2]
    data.chmod(0o644)
    content = bytearray(data.read_bytes())
    content[len(content) // 3] ^= 1  # one bit
    data.write_bytes(content)
    gone.unlink()
    problems = {error.where: error.found for error in integrity.check(settings)}

    assert set(problems) == {str(data), str(gone)}
    assert "another MD5" in problems[str(data)] and problems[str(gone)] == "no such file"


@pytest.mark.parametrize("kind", ["data", "list"])
def test_what_a_remote_has_is_fetched_anew(settings: Settings, tmp_path: Path, kind: str) -> None:
    pushed = settings.model_copy(update={"lake_remote": str(tmp_path / "remote")})
    append(pushed, 0)
    before = Project(pushed, SPEC).lake.read()["trains"]
    damage(pushed, kind, 30)

    assert Project(pushed, SPEC).lake.read()["trains"].equals(before)
    assert integrity.check(pushed) == []
    append(pushed, 1)
    assert dvc(pushed, "status") == "Data and pipelines are up to date.\n"


def test_a_stale_lock_of_git_is_no_obstacle(settings: Settings) -> None:
    append(settings, 0)
    for name in ("index.lock", "HEAD.lock", "refs/heads/main.lock"):
        (settings.lake / ".git" / name).touch()

    append(settings, 1)
    assert len(commits(settings)) == 3
