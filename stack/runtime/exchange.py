"""Files that a user gives to a flow and gets from it: the same path for processes, copies for containers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from stack.errors import StackError
from stack.settings import Settings

FOLDER = "/var/lib/stack/exchange"
Paths = tuple[str | None, str | None]


@contextmanager
def same_disk(_: Settings, given: Path | None, wanted: Path | None) -> Iterator[Paths]:
    """Give the absolute paths of the file to read and of the one to write, as a flow runs in another folder."""
    yield (str(given.absolute()) if given else None, str(wanted.absolute()) if wanted else None)


@contextmanager
def copies(settings: Settings, given: Path | None, wanted: Path | None) -> Iterator[Paths]:
    """Give paths in the containers' volume: the file to read is copied there, the one written is brought back."""
    read, written = (f"{FOLDER}/{uuid4()}{path.suffix}" if path else None for path in (given, wanted))
    if given and read:
        _inside(settings, f'mkdir -p {FOLDER} && cat > "$0"', read, given.read_bytes())
    try:
        yield read, written
    finally:
        if wanted and written:
            content = _inside(settings, '[ ! -e "$0" ] || cat "$0"', written)
            if content:
                wanted.write_bytes(content)
        for copy in (read, written):
            if copy:
                _inside(settings, 'rm -f "$0"', copy)


def _inside(settings: Settings, script: str, path: str, content: bytes = b"") -> bytes:
    """Run a line of shell, with the path as ``$0``, in the container that runs the flows."""
    command = ["docker", "exec", "--interactive", f"{settings.name}-worker-1", "sh", "-c", script, path]
    ran = subprocess.run(command, input=content, capture_output=True, check=False)
    if ran.returncode:
        raise StackError(
            f"copy of {path}",
            found=ran.stderr.decode(errors="replace").strip() or f"exit code {ran.returncode}",
            expected="a running worker with room on its volume",
            todo="look with `make status`",
        )
    return ran.stdout
