"""The model registry: who is champion, moving aliases, and the versions with their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite, nan
from typing import Any

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import _compat, rest

CHAMPION, CHALLENGER, PREVIOUS, CANARY = "champion", "challenger", "previous", "canary"
METRICS = "stack.metrics"
"""Tag of a version: the names of its other tags that are metrics, a JSON list."""


@dataclass(frozen=True)
class Version:
    """A registered version of a project's model."""

    name: str
    version: str
    run_id: str
    tags: Mapping[str, str] = field(default_factory=dict)
    """The tags of the run that trained it (``stack.*``) and its holdout metrics."""

    @property
    def cutoff(self) -> datetime:
        """Return the instant up to which labels were known to the training."""
        return datetime.fromisoformat(self.tag("stack.cutoff"))

    @property
    def metrics(self) -> dict[str, float]:
        """Return the holdout metrics, those that are finite.

        The tag ``stack.metrics`` lists their names. A version of before it has metrics in all tags without a dot.
        """
        listed = self.tags.get(METRICS)
        names = json.loads(listed) if listed else [key for key in self.tags if "." not in key]
        numbers = {key: _number(value) for key, value in self.tags.items() if key in names}
        return {key: number for key, number in numbers.items() if isfinite(number)}

    def tag(self, key: str) -> str:
        """Return a tag that every training sets.

        Raises:
            StackError: the version has none; it was not registered by a training of the stack.
        """
        if key not in self.tags:
            raise StackError(
                f"model {self.name}, version {self.version}",
                found=f"no tag {key}",
                expected="a version that a training of the stack registered",
                todo=f"make train PROJECT={self.name}",
            )
        return self.tags[key]


class Registry:
    """The registered model of a project, in MLflow. Only :mod:`stack.promotion` moves aliases.

    Args:
        settings: the stack's; its ``mlflow_url``.
        name: of the project and of its registered model.

    Every method raises ``httpx.HTTPError`` where the registry does not answer; another try may pass.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self.name = settings, name

    def champion(self) -> Version | None:
        """Return the version that answers requests."""
        return self.aliased(CHAMPION)

    def challenger(self) -> Version | None:
        """Return the version that was trained last and awaits the gate."""
        return self.aliased(CHALLENGER)

    def previous(self) -> Version | None:
        """Return the champion before the present one."""
        return self.aliased(PREVIOUS)

    def canary(self) -> Version | None:
        """Return the version that answers a share of the requests."""
        return self.aliased(CANARY)

    def require_champion(self) -> Version:
        """Return the champion.

        Raises:
            StackError: the project has no champion.
        """
        champion = self.champion()
        if champion is None:
            raise StackError(
                f"model {self.name}",
                found="no version with the alias champion",
                expected="a champion",
                todo=f"make train PROJECT={self.name}",
            )
        return champion

    def aliased(self, alias: str) -> Version | None:
        """Return the version that an alias points at, or None."""
        with rest.client(self._settings) as client:
            answer = client.get("mlflow/registered-models/alias", params={"name": self.name, "alias": alias})
            if _compat.is_absent(answer):
                return None
            return _version(rest.checked(answer)["model_version"])

    def numbered(self, version: str) -> Version:
        """Return a registered version by its number.

        Raises:
            httpx.HTTPError: the registry does not answer, or has no such version.
        """
        with rest.client(self._settings) as client:
            answer = client.get("mlflow/model-versions/get", params={"name": self.name, "version": version})
            return _version(rest.checked(answer)["model_version"])

    def set_champion(self, version: str) -> None:
        """Make a version champion; the old champion becomes previous.

        The alias ``champion`` moves in one request, after ``previous`` and before ``challenger`` is removed: wherever
        this is interrupted, one whole version is champion, and doing it again completes it.
        """
        before, challenger, canary = self.champion(), self.challenger(), self.canary()
        with rest.client(self._settings) as client:
            if before is None or before.version != version:
                if before is not None:
                    point_alias(client, self.name, PREVIOUS, before.version)
                point_alias(client, self.name, CHAMPION, version)
            if challenger is not None and challenger.version == version:
                drop_alias(client, self.name, CHALLENGER)
            if canary is not None and canary.version == version:
                drop_alias(client, self.name, CANARY)

    def set_canary(self, version: str) -> None:
        """Make a version canary; it is challenger no longer."""
        challenger = self.challenger()
        with rest.client(self._settings) as client:
            point_alias(client, self.name, CANARY, version)
            if challenger is not None and challenger.version == version:
                drop_alias(client, self.name, CHALLENGER)

    def clear_canary(self, version: str) -> None:
        """Remove the alias ``canary`` from a version."""
        canary = self.canary()
        if canary is not None and canary.version == version:
            with rest.client(self._settings) as client:
                drop_alias(client, self.name, CANARY)

    def restore_champion(self, version: str) -> None:
        """Make the previous version champion again; it is previous no longer.

        As in :meth:`set_champion`, one whole version is champion wherever this is interrupted, and doing it again
        completes it.
        """
        before = self.previous()
        with rest.client(self._settings) as client:
            point_alias(client, self.name, CHAMPION, version)
            if before is not None and before.version == version:
                drop_alias(client, self.name, PREVIOUS)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set tags on a version."""
        with rest.client(self._settings) as client:
            for key, value in tags.items():
                body = {"name": version.name, "version": version.version, "key": key, "value": value}
                rest.checked(client.post("mlflow/model-versions/set-tag", json=body))

    def tagged(self, tags: Mapping[str, str], order: str = "ASC") -> Version | None:
        """Return the version that has these tags: the first of several, or with the order "DESC" the newest."""
        wanted = [f"name = '{self.name}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
        query = {"filter": " and ".join(wanted), "order_by": f"version_number {order}", "max_results": "1"}
        with rest.client(self._settings) as client:
            versions = rest.checked(client.get("mlflow/model-versions/search", params=query)).get("model_versions", [])
        return _version(versions[0]) if versions else None

    def delete(self, version: str) -> None:
        """Delete a version from the registry; its run stays."""
        body = {"name": self.name, "version": version}
        with rest.client(self._settings) as client:
            rest.checked(client.request("DELETE", "mlflow/model-versions/delete", json=body))

    def set_challenger(self, version: Version) -> None:
        """Make a version challenger."""
        with rest.client(self._settings) as client:
            point_alias(client, self.name, CHALLENGER, version.version)

    def finish(self, version: Version) -> None:
        """End the run that trained a version as finished."""
        with rest.client(self._settings) as client:
            rest.checked(client.post("mlflow/runs/update", json={"run_id": version.run_id, "status": "FINISHED"}))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _version(raw: Mapping[str, Any]) -> Version:
    tags = {tag["key"]: tag["value"] for tag in raw.get("tags", [])}
    return Version(raw["name"], str(raw["version"]), raw["run_id"], tags)


def point_alias(client: httpx.Client, name: str, alias: str, version: str) -> None:
    """Point an alias of a model at a version."""
    body = {"name": name, "alias": alias, "version": version}
    rest.checked(client.post("mlflow/registered-models/alias", json=body))


def drop_alias(client: httpx.Client, name: str, alias: str) -> None:
    """Remove an alias of a model."""
    rest.checked(client.request("DELETE", "mlflow/registered-models/alias", json={"name": name, "alias": alias}))
