"""A checkout of the stack with small projects of its own, and an interpreter that finds it."""

from __future__ import annotations

import os
import shutil
import sys
import venv
from pathlib import Path

from stack.settings import ROOT

ROOMS = ("stack", "flows", "services", "monitoring")
FILES = ("docker-compose.yml", "pyproject.toml")
FERRIES = Path(__file__).parent / "ferries"


def make(folder: Path, names: list[str], *, max_age: str = "P2D") -> Path:
    """Copy the code, give it the ferries under each of these names, and make a virtual environment for it.

    Returns:
        Its interpreter. Commands of the tools lie beside it.
    """
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, folder)
    (folder / "feature_repo").mkdir()
    (folder / "projects").mkdir()
    for file in ("feature_repo/__init__.py", "feature_repo/feature_store.yaml", "projects/__init__.py"):
        shutil.copy(ROOT / file, folder / file)
    for name in names:
        (folder / "projects" / name).mkdir()
        (folder / "projects" / name / "__init__.py").touch()
        for file in FERRIES.iterdir():
            target = f"feature_repo/{name}.py" if file.name == "definitions.py" else f"projects/{name}/{file.name}"
            text = file.read_text().replace("ferries", name).replace("max_age: P2D", f"max_age: {max_age}")
            (folder / target).write_text(text)
    return _interpreter(folder)


def _interpreter(folder: Path) -> Path:
    """A virtual environment with the packages of this one, whose own code is the folder's."""
    packages, scripts = [one for one in sys.path if one.endswith("site-packages")], Path(sys.executable).parent
    venv.create(folder / ".venv", symlinks=True)
    own = folder / ".venv/bin"
    place = next((folder / ".venv/lib").glob("python*")) / "site-packages"
    # A folder named in a .pth file is searched, but its own .pth files, which name this checkout, are not read.
    (place / "checkout.pth").write_text("\n".join([str(folder), *packages]))
    for script in scripts.iterdir():
        if not (own / script.name).exists() and script.read_bytes()[:2] == b"#!":
            (own / script.name).write_text(script.read_text().replace(str(scripts), str(own), 1))
            (own / script.name).chmod(0o755)
    return own / "python"


def environment(folder: Path, environ: dict[str, str]) -> dict[str, str]:
    """The environment of a process that works in the checkout."""
    path = os.pathsep.join([str(folder / ".venv/bin"), environ["PATH"]])
    return {key: value for key, value in environ.items() if not key.startswith("PYTHON")} | {"PATH": path}
