"""The versions that aliases point at, asked of MLflow at once for all projects: the home page may have twenty."""

from functools import lru_cache
from threading import Lock
from time import monotonic

import httpx

from stack.core.settings import Settings
from stack.project import Project
from stack.registry import registry
from stack.registry.registry import Version

SECONDS = 1.0
"""For which the aliases are not asked for again."""
KEPT = 500
"""Versions that are remembered: what is shown of them stays as it was registered."""


class LiveVersions:
    """The versions with aliases of an MLflow."""

    def __init__(self) -> None:
        self._lock, self._at = Lock(), float("-inf")
        self._aliases: dict[str, dict[str, str]] | httpx.HTTPError = {}
        self._versions: dict[tuple[str, str], Version] = {}

    def aliased(self, project: Project, alias: str) -> Version | None:
        """Return the version of a project that an alias points at, or None; httpx.HTTPError: MLflow does not say."""
        number = self._read(project.settings).get(project.name, {}).get(alias)
        if number is None:
            return None
        key = project.name, number
        if key not in self._versions:
            if len(self._versions) >= KEPT:
                self._versions.clear()
            self._versions[key] = project.registry.numbered(number)
        return self._versions[key]

    def _read(self, settings: Settings) -> dict[str, dict[str, str]]:
        with self._lock:
            if monotonic() - self._at > SECONDS:
                try:
                    self._aliases = registry.aliases(settings)
                except httpx.HTTPError as error:
                    self._aliases = error
                self._at = monotonic()
            found = self._aliases
        if isinstance(found, httpx.HTTPError):
            raise found
        return found


@lru_cache(maxsize=4)
def of(_mlflow_url: str) -> LiveVersions:
    """Return the versions of an MLflow, which all cards share."""
    return LiveVersions()
