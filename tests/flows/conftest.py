"""A project whose rooms below are fakes: what a flow calls, and in which order."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

import stack.project.project
from stack.core.settings import Settings
from stack.project import Project

NOW = datetime(2013, 3, 1, tzinfo=UTC)
Fake = Callable[..., None]


@pytest.fixture
def flights(prefect, tmp_path, monkeypatch) -> Project:
    """The project that a flow opens, with an empty home."""
    settings = Settings(home=tmp_path)
    monkeypatch.setattr(stack.project.project, "settings", lambda: settings)
    project = Project.open("flights")
    project.clock.advance(NOW)
    return project


@pytest.fixture
def calls() -> list[str]:
    """Names of the functions that were called."""
    return []


@pytest.fixture
def fake(calls, monkeypatch) -> Fake:
    """Replace a function by one that is noted, and gives or raises the results, the last one for ever."""

    def replace(place: str, *results: Any) -> None:
        left = list(results or [None])

        def call(*_: Any, **__: Any) -> Any:
            calls.append(place.rpartition(".")[2])
            result = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(place, call)

    return replace


@pytest.fixture
def at_once(monkeypatch) -> Callable[[Any], None]:
    """Let a task be retried without a pause."""
    return lambda task: monkeypatch.setattr(task, "retry_delay_seconds", [0, 0, 0])
