"""Files that a user gives to a flow and gets from it: the same path for processes, copies for containers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from stack.core.errors import StackError
from stack.core.settings import Settings

HOME = "/var/lib/stack"
FOLDER = f"{HOME}/exchange"
Paths = tuple[str | None, str | None]


@contextmanager
def same_disk(_: Settings, given: Path | None, wanted: Path | None) -> Iterator[Paths]:
    """Give the absolute paths of the file to read and of the one to write, as a flow runs in another folder."""
    yield (str(given.absolute()) if given else None, str(wanted.absolute()) if wanted else None)


@contextmanager
def copies(settings: Settings, given: Path | None, wanted: Path | None) -> Iterator[Paths]:
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
        _docker(f"copy of {HOME}/lake", "cp", f"{settings.name}-worker-1:{HOME}/lake", home)
        yield settings.model_copy(update={"home": Path(home)})


def _forget(settings: Settings, copy: str) -> None:
    """Delete a copy, where there is still a container to do it."""
    with suppress(StackError, FileNotFoundError):
        _inside(settings, 'rm -f "$0"', copy)


def _bring(settings: Settings, written: str, wanted: Path) -> None:
    """Copy a file out of the volume, if it is there; it appears under its name when it is whole."""
    wanted.parent.mkdir(parents=True, exist_ok=True)
    partial = wanted.with_name(f".{wanted.name}.new")
    try:
        _inside(settings, '[ ! -e "$0" ] || cat "$0"', written, wanted=partial)
        if partial.stat().st_size:
            partial.replace(wanted)
    finally:
        partial.unlink(missing_ok=True)


def _inside(
    settings: Settings, script: str, path: str, *, given: Path | None = None, wanted: Path | None = None
) -> None:
    """Run a line of shell, with the path as ``$0``, in the container that runs the flows."""
    words = ["exec", *(["--interactive"] if given else []), f"{settings.name}-worker-1", "sh", "-c", script, path]
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
