"""The packages that a project brings along: locked beside ``project.yaml``, installed for its trainings alone.

``requirements.txt`` says what a project wants; ``requirements.lock`` has these packages and what they need, each with
its hashes, but for what the stack has itself: of that the stack's version counts. They are installed into a folder of
the state, which is on the path of the process that trains, and of no other.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stack.core import files
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import ROOT, Settings

REQUIREMENTS, LOCK = "requirements.txt", "requirements.lock"
FOLDER = "packages"
"""Of the state: ``<project>/<hash of the lock>/``."""
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
NETWORK = re.compile(r"fetch|network|connect|dns|resolve host|timed out|offline|not found in the cache", re.IGNORECASE)


def wanted(folder: Path) -> bool:
    """Return whether the project of a folder brings packages along."""
    return (folder / REQUIREMENTS).is_file()


def lock(folder: Path) -> Path:
    """Write the lock of a project's folder; return its path.

    Raises:
        StackError: the packages do not go with each other or with the stack's, or cannot be looked up.
    """
    if not wanted(folder):
        todo = "write the packages into it, one a line"
        raise StackError(str(folder / REQUIREMENTS), found="no such file", expected="the packages", todo=todo)
    with TemporaryDirectory() as temporary:
        target, own = Path(temporary, LOCK), PINNED.findall((ROOT / LOCK).read_text())
        compiling: list[Any] = [
            _uv(),
            "pip",
            "compile",
            "--quiet",
            "--universal",
            "--python-version",
            "3.11",
            "--generate-hashes",
        ]
        compiling += ["--no-annotate", "--no-header", "--no-emit-index-url", "--emit-find-links"]
        compiling += ["--constraint", ROOT / LOCK, "--output-file", target, REQUIREMENTS]
        compiling += [word for name, _ in own for word in ("--no-emit-package", name)]
        _run(compiling, folder, f"{folder / REQUIREMENTS}")
        text = target.read_text()
    files.write(folder / LOCK, f"# {_state(folder)}\n{text}")
    return folder / LOCK


def installed(settings: Settings, folder: Path, report: Reporter, *, recorded: bool = False) -> Path | None:
    """Return the folder with the packages of a project, which are installed if they are not; None where it has none.

    Args:
        settings: the stack.
        folder: of the project.
        report: called when they are installed.
        recorded: take the lock as it is, of an earlier commit.

    Raises:
        StackError: the lock is missing or out of date, or a package cannot be installed.
    """
    text = (folder / LOCK).read_text() if (folder / LOCK).is_file() else ""
    if not (text if recorded else wanted(folder)):
        return None
    if not recorded and not text.startswith(f"# {_state(folder)}\n"):
        raise StackError(
            str(folder / LOCK),
            found="a lock of other packages" if text else "no such file",
            expected=f"the lock of {REQUIREMENTS}, with the packages of this version of the stack",
            todo=f"make packages PROJECT={folder.name}",
        )
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    target = settings.home / FOLDER / folder.name / hashlib.sha256(f"{version}\n{text}".encode()).hexdigest()[:16]
    if not target.is_dir():
        report(f"installing packages for the trainings of {folder.name}: {', '.join(pins(folder))}")
        _install(folder, target)
    return target


def pins(folder: Path) -> dict[str, str]:
    """Return the locked packages of a project: name -> version; those with an address instead are left out."""
    return dict(PINNED.findall((folder / LOCK).read_text())) if (folder / LOCK).is_file() else {}


def untrusted(folder: Path, pipeline: Any) -> list[str]:
    """Return the types of a pipeline that skops does not know, where the project brings packages of its own along.

    MLflow lists them as trusted: the pipeline was made of them here, and who loads it has to install them.
    """
    if not wanted(folder):
        return []
    import skops.io

    return list(skops.io.get_untrusted_types(data=skops.io.dumps(pipeline)))


def _install(folder: Path, target: Path) -> None:
    """Install the lock; the target is there when all of it is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _beside(target) as half:
        uv = shutil.which("uv", path=str(Path(sys.executable).parent))
        # The image has no uv, but the interpreter that its environment was made with has pip.
        tool = [uv, "pip"] if uv else [getattr(sys, "_base_executable", sys.executable), "-m", "pip"]
        python = ["--python", sys.executable] if uv else []
        words = [
            "install",
            "--quiet",
            *python,
            "--target",
            half,
            "--no-deps",
            "--require-hashes",
            "--requirement",
            LOCK,
        ]
        _run([*tool, *words], folder, str(folder / LOCK))


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes the target, unless another process was faster."""
    with TemporaryDirectory(dir=target.parent) as temporary:
        half = Path(temporary, "packages")
        half.mkdir()
        yield half
        try:
            half.rename(target)
        except OSError:
            if not target.is_dir():
                raise


def _state(folder: Path) -> str:
    """Return the hash of what a lock depends on."""
    content = (folder / REQUIREMENTS).read_bytes() + (ROOT / LOCK).read_bytes()
    return f"of {REQUIREMENTS} and the stack's packages: {hashlib.sha256(content).hexdigest()[:32]}"


def _uv() -> str:
    found = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    if found is None:
        raise StackError("uv", found="not installed", expected="the package that locks others", todo="make setup-dev")
    return found


def _run(command: list[Any], folder: Path, where: str) -> None:
    """Run a command in a project's folder; a StackError has the end of what it says."""
    process = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True, check=False)
    if process.returncode:
        lines = [" ".join(line.split()) for line in (process.stderr or process.stdout).splitlines() if line.strip()]
        unreachable = NETWORK.search(process.stderr)
        raise StackError(
            where,
            found=" ".join(lines[-6:]) or f"exit code {process.returncode}",
            expected="packages that can be downloaded, and that go with those of the stack",
            todo="connect this machine, or name an index in UV_INDEX_URL (PIP_INDEX_URL in .env for containers)"
            if unreachable
            else f"change the versions in {REQUIREMENTS}; those in the stack's {LOCK} are fixed",
        )
