"""Which projects' aliases have moved: one question for all, however many there are."""

import time
from collections.abc import Collection
from typing import Any

import httpx
from sqlalchemy.exc import SQLAlchemyError

from stack.core.settings import Settings
from stack.promotion import decisions
from stack.registry import registry

REGISTRY_SECONDS, COPY_SECONDS = 10.0, 0.3
"""Interval of the requests to the registry, for aliases that are moved by hand: alone, and of several copies."""


class AliasChanges:
    """Asks the audit each time, as every decision is in it, and the registry every few seconds.

    Several copies of the service swap within a second of each other, so each asks more often.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seconds = REGISTRY_SECONDS if settings.prediction_copies == 1 else COPY_SECONDS
        self._asked_at = -self.seconds
        self._aliases: dict[str, dict[str, str]] = {}
        self._last: dict[str, tuple[Any, Any]] = {}

    def of(self, projects: Collection[str]) -> Collection[str]:
        """Return the projects whose aliases may have moved since the last call; all where no answer comes."""
        try:
            decided = decisions.progress(self._settings)
            if time.monotonic() >= self._asked_at + self.seconds:
                self._aliases = registry.aliases(self._settings)
                self._asked_at = time.monotonic()
        except (SQLAlchemyError, httpx.HTTPError):
            return projects
        last, self._last = self._last, {name: (decided.get(name), self._aliases.get(name)) for name in projects}
        return [name for name in projects if name not in last or self._last[name] != last[name]]
