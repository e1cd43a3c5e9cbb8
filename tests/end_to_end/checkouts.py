"""A checkout of the stack with small projects of its own, and an interpreter that finds it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.checkouts import interpreter
from stack.core.settings import ROOT

ROOMS = ("stack", "flows", "services", "monitoring")
FILES = ("docker-compose.yml", "pyproject.toml", "requirements.lock")
FERRIES = Path(__file__).parent / "ferries"


def make(folder: Path, ages: Mapping[str, str]) -> Path:
    """Copy the code, give it the ferries under some names, and make a virtual environment for it.

    Args:
        folder: is there, and empty.
        ages: name -> `monitoring.max_age` of the project.

    Returns:
        Its interpreter. Commands of the tools lie beside it.
    """
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room)
    for file in FILES:
        shutil.copy(ROOT / file, folder)
    (folder / "feature_repo").mkdir()
    (folder / "projects").mkdir()
    for file in ("feature_repo/__init__.py", "feature_repo/feature_store.yaml", "projects/__init__.py"):
        shutil.copy(ROOT / file, folder / file)
    for name, max_age in ages.items():
        (folder / "projects" / name).mkdir()
        (folder / "projects" / name / "__init__.py").touch()
        for file in FERRIES.iterdir():
            target = f"feature_repo/{name}.py" if file.name == "definitions.py" else f"projects/{name}/{file.name}"
            text = file.read_text().replace("ferries", name).replace("max_age: P2D", f"max_age: {max_age}")
            (folder / target).write_text(text)
    return interpreter(folder)


def environment(folder: Path, environ: dict[str, str]) -> dict[str, str]:
    """The environment of a process that works in the checkout."""
    path = os.pathsep.join([str(folder / ".venv/bin"), environ["PATH"]])
    return {key: value for key, value in environ.items() if not key.startswith("PYTHON")} | {"PATH": path}
