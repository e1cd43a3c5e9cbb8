"""What a test of a reach into a tool says when the tool has changed."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version

import pytest


@contextmanager
def reach(distribution: str, name: str) -> Iterator[None]:
    """Name the tool, its version and what is reached into, whatever goes wrong inside."""
    try:
        yield
    except Exception as error:
        changed = f"{distribution} {version(distribution)} has changed {name}; see docs/upgrading-tools.md"
        pytest.fail(f"{changed}\n{type(error).__name__}: {error}")
