"""Which versions wrote the state, as a small file in the home says, and which sources the one-shot services apply."""

import fcntl
import hashlib
import json
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from stack.core import code, files
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings, settings
from stack.core.version import version
from stack.specification import specs

LAYOUT = 2
"""Raised when an older stack could not read the state."""
UNFINISHED = ".restoring"
"""The folder in a home that a restore works in; while it is there, the state is not whole."""
SOURCES = ("stack", "flows", "services/migrations", "services/tracking", "feature_repo")
"""Of what the one-shot services apply, beside the workspace: they run again when it has changed."""
SERVED = ("stack", "services", "monitoring")
"""What services hold in memory: they are started anew when it has changed."""
PACKAGES = ("mlflow", "prefect", "feast", "dvc", "evidently", "great-expectations", "bentoml")


def file(settings: Settings) -> Path:
    """Return the version file."""
    return settings.home / "versions.json"


def current() -> dict[str, str | int]:
    """Return the versions of the stack and of what is installed."""
    installed = {name: metadata.version(name) for name in PACKAGES}
    return {"layout": LAYOUT, "stack": version(), "python": platform.python_version(), **installed}


def stored(settings: Settings) -> dict[str, str | int]:
    """Return the versions that last used the state; empty for a new state."""
    return dict(json.loads(file(settings).read_text())) if file(settings).exists() else {}


def changes(before: Mapping[str, str | int]) -> list[str]:
    """Describe what differs between other versions and those that are installed."""
    return [f"{name} {before[name]} -> {now}" for name, now in current().items() if before.get(name, now) != now]


def check(settings: Settings) -> None:
    """Mark a new home as the stack's; refuse state that a newer stack has written, or whose restore was broken off."""
    if (settings.home / UNFINISHED).exists():
        raise StackError(
            str(settings.home),
            found="a restore that was broken off",
            expected="a whole state",
            todo="run `make restore` again with YES=1",
        )
    layout = int(stored(settings).get("layout", LAYOUT))
    if layout > LAYOUT:
        raise StackError(
            str(file(settings)),
            found=f"state of layout {layout}",
            expected=f"layout {LAYOUT} or older",
            todo="use the newer checkout, or another STACK_HOME",
        )
    if not file(settings).exists():
        write(settings)


def write(settings: Settings, used: Mapping[str, str | int] | None = None) -> None:
    """Note which versions use the state, and which commit: those that are installed, or `used`."""
    files.write(file(settings), json.dumps(dict(used or current() | {"code": code.version()}), indent=1) + "\n")


@lru_cache(maxsize=1)
def sources() -> str:
    """Return a fingerprint of code and definitions in checkout and workspace, and of the locked packages."""
    folders = {*(ROOT / name for name in SOURCES), settings().projects, settings().definitions}
    return _fingerprint(folders, " ".join(specs.names()))  # an example is available when its data is installed


@lru_cache(maxsize=1)
def served() -> str:
    """Return a fingerprint of the code that services hold in memory, and of the locked packages."""
    return _fingerprint({ROOT / name for name in SERVED}, "")


def _fingerprint(folders: Iterable[Path], beside: str) -> str:
    paths = sorted(path for folder in folders for end in ("py", "yaml") for path in folder.rglob(f"*.{end}"))
    contents = (path.read_bytes() for path in [*paths, ROOT / "requirements.lock"])
    return hashlib.sha256(b"".join([beside.encode(), *contents])).hexdigest()[:16]


class BusyError(StackError):
    """Another process does the same to this stack at this moment."""


@contextmanager
def exclusive(settings: Settings, lock: Path, task: str) -> Iterator[None]:
    """Let one task of a kind at a time work on a state."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem, todo = f"another {task} at work on this stack", "wait for its end"
            raise BusyError(str(settings.home), found=problem, expected="one at a time", todo=todo) from None
        yield


@contextmanager
def unfinished(settings: Settings) -> Iterator[Path]:
    """Give a folder in the home to prepare new state in; `check` refuses the home until it is whole."""
    aside = settings.home / UNFINISHED
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        if any(settings.home.iterdir()):
            aside.mkdir(exist_ok=True)
        raise
    shutil.rmtree(aside)
