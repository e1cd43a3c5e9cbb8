"""Files of the user that a flow reads and writes: copies in the containers' volume."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from stack.core.errors import StackError
from stack.core.files import replacing
from stack.core.settings import Settings
from stack.ops.compose import docker
from stack.ops.runtimes import Paths

FOLDER = f"{docker.HOME}/exchange"


@contextmanager
def lent(settings: Settings, source: Path | None, target: Path | None) -> Iterator[Paths]:
    """Give paths in the containers' volume: the file to read is copied there, the written file is brought back."""
    if source and source.is_dir():
        todo = "write the rows into one file, or run the stack as processes"
        raise StackError(str(source), found="a folder", expected="a file, which containers are sent", todo=todo)
    read, written = (f"{FOLDER}/{uuid4()}{path.suffix}" if path else None for path in (source, target))
    with ExitStack() as after:
        for copy in filter(None, (read, written)):
            after.callback(_delete, settings, copy)
        if source and read:
            _shell(settings, f'mkdir -p {FOLDER} && cat > "$0"', read, source=source)
        try:
            yield read, written
        finally:
            if target and written:
                _fetch(settings, written, target)


@contextmanager
def lake(settings: Settings) -> Iterator[Settings]:
    """Give the settings of a home on this disk that holds a copy of the containers' lake, for as long as it is used."""
    with TemporaryDirectory(prefix="lake-") as home:
        ran = docker.run("cp", f"{docker.container(settings)}:{docker.HOME}/lake", home)
        _require_copied(f"{docker.HOME}/lake", ran)
        yield settings.model_copy(update={"home": Path(home)})


def _delete(settings: Settings, copy: str) -> None:
    """Delete a copy, where there is still a container to do it."""
    with suppress(StackError, FileNotFoundError):
        _shell(settings, 'rm -f "$0"', copy)


def _fetch(settings: Settings, written: str, target: Path) -> None:
    """Copy a file out of the volume, if it is there."""
    with suppress(_NotWrittenError), replacing(target) as partial:
        _shell(settings, '[ ! -e "$0" ] || cat "$0"', written, target=partial)
        if not partial.stat().st_size:
            raise _NotWrittenError


class _NotWrittenError(Exception):
    """The flow has not written its file."""


def _shell(
    settings: Settings, script: str, path: str, *, source: Path | None = None, target: Path | None = None
) -> None:
    """Run a line of shell, with the path as ``$0``, in the container that runs the flows."""
    with ExitStack() as files:
        stdin = files.enter_context(source.open("rb")) if source else subprocess.DEVNULL
        stdout = files.enter_context(target.open("wb")) if target else subprocess.DEVNULL
        words = ("exec", "-T", docker.WORKER, "sh", "-c", script, path)
        ran = docker.compose(settings, *words, check=False, stdin=stdin, stdout=stdout)
    _require_copied(source or target or path, ran)


def _require_copied(what: Path | str, ran: subprocess.CompletedProcess[str]) -> None:
    if ran.returncode:
        raise StackError(
            f"copy of {what}",
            found=ran.stderr.strip() or f"exit code {ran.returncode}",
            expected="a running worker with room on its volume",
            todo="look with `make status`",
        )
