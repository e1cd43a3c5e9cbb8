"""Files of data packages from PyPI, for a project's ``source.py``; the package is not imported."""

from importlib.util import find_spec
from pathlib import Path

from stack.core.errors import StackError

__all__ = ["file"]


def file(package: str, inside: str) -> Path:
    """Return the path of a file in a package, by its import name. StackError: there is no such package or file."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            f"data package {package}",
            found="not installed",
            expected=f"its file {inside}",
            todo="run `make up` or, for the data of an example, `make example NAME=...`",
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.is_file():
        raise StackError(str(path), found="no such file", expected=f"a version of {package} that carries it")
    return path
