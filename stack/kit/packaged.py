"""Data that a PyPI package carries, for a project's ``source.py``: found by path, as the package is not imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from stack.core.errors import StackError

__all__ = ["file"]


def file(package: str, inside: str) -> Path:
    """Find a file of an installed package.

    Args:
        package: name that it would be imported by.
        inside: the file's path in it.

    Raises:
        StackError: the package is not installed, or has no such file.
    """
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise StackError(
            f"data package {package}",
            found="not installed",
            expected=f"its file {inside}",
            todo="run `make up` or, for the data of an example, `make example NAME=...`",
        )
    path = Path(found.submodule_search_locations[0]) / inside
    if not path.is_file():
        raise StackError(str(path), found="no such file", expected=f"a version of {package} that carries it")
    return path
