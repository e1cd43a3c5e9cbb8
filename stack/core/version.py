"""The version of the stack."""

import tomllib
from functools import lru_cache

from stack.core.settings import ROOT


@lru_cache(maxsize=1)
def version() -> str:
    """Return the version that runs, which pyproject.toml stated when it was first asked for."""
    return stated()


def stated() -> str:
    """Return the version that pyproject.toml states; until an upgrade has ended the installed package has another."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])
