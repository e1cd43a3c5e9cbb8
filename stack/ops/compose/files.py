"""Files of the user that a flow reads and writes: copies in the containers' volume."""

from __future__ import annotations

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
from stack.ops.runtime import Paths

HOME = "/var/lib/stack"
FOLDER = f"{HOME}/exchange"


@contextmanager
def lent(settings: Settings, given: Path | None, wanted: Path | None) -> Iterator[Paths]:
    """Give paths in the containers' volume: the file to read is copied there, the one written is brought back."""
    read, written = (f"{FOLDER}/{uuid4()}{path.suffix}" if path else None for path in (given, wanted))
    with ExitStack() as after:
        for copy in (read, written):
            if copy:
                after.callback(_forget, settings, copy)
        if given and read:
            _inside(settings, f'mkdir -p {FOLDER} && cat > "$0"', read, given=given)
        try:
            yield read, written
        finally:
            if wanted and written:
                _bring(settings, written, wanted)


@contextmanager
def lake(settings: Settings) -> Iterator[Settings]:
    """Give the settings of a home on this disk that holds a copy of the containers' lake, for as long as it is used."""
    with TemporaryDirectory(prefix="lake-") as home:
        _docker(f"copy of {HOME}/lake", "cp", f"{docker.container(settings)}:{HOME}/lake", home)
        yield settings.model_copy(update={"home": Path(home)})


def _forget(settings: Settings, copy: str) -> None:
    """Delete a copy, where there is still a container to do it."""
    with suppress(StackError, FileNotFoundError):
        _inside(settings, 'rm -f "$0"', copy)


def _bring(settings: Settings, written: str, wanted: Path) -> None:
    """Copy a file out of the volume, if it is there."""
    with suppress(_NotWrittenError), replacing(wanted) as partial:
        _inside(settings, '[ ! -e "$0" ] || cat "$0"', written, wanted=partial)
        if not partial.stat().st_size:
            raise _NotWrittenError


class _NotWrittenError(Exception):
    """The flow has not written its file."""


def _inside(
    settings: Settings, script: str, path: str, *, given: Path | None = None, wanted: Path | None = None
) -> None:
    """Run a line of shell, with the path as ``$0``, in the container that runs the flows."""
    words = ["exec", *(["--interactive"] if given else []), docker.container(settings), "sh", "-c", script, path]
    _docker(f"copy of {given or wanted or path}", *words, given=given, wanted=wanted)


def _docker(what: str, *words: str, given: Path | None = None, wanted: Path | None = None) -> None:
    """Run a command of Docker's, from one file to another."""
    with ExitStack() as files:
        source = files.enter_context(given.open("rb")) if given else subprocess.DEVNULL
        target = files.enter_context(wanted.open("wb")) if wanted else subprocess.DEVNULL
        ran = subprocess.run(["docker", *words], stdin=source, stdout=target, stderr=subprocess.PIPE, check=False)
    if ran.returncode:
        raise StackError(
            what,
            found=ran.stderr.decode(errors="replace").strip() or f"exit code {ran.returncode}",
            expected="a running worker with room on its volume",
            todo="look with `make status`",
        )
