"""The model registry: who is champion, moving aliases, and the versions with their tags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import _compat, rest

CHAMPION, CHALLENGER, PREVIOUS, CANARY = "champion", "challenger", "previous", "canary"


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
        """The instant up to which labels were known to it."""
        return datetime.fromisoformat(self.tag("stack.cutoff"))

    def tag(self, key: str) -> str:
        """A tag that every training sets.

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
    """The registered model of a project, in MLflow.

    Args:
        settings: the stack's; its ``mlflow_url``.
        name: of the project and of its registered model.

    Every method raises ``httpx.HTTPError`` where the registry does not answer; another try may pass.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self.name = settings, name

    def champion(self) -> Version | None:
        """The version that answers requests."""
        return self.aliased(CHAMPION)

    def challenger(self) -> Version | None:
        """The version that was trained last and awaits the gate."""
        return self.aliased(CHALLENGER)

    def previous(self) -> Version | None:
        """The champion before the present one."""
        return self.aliased(PREVIOUS)

    def canary(self) -> Version | None:
        """The version that answers a share of the requests."""
        return self.aliased(CANARY)

    def require_champion(self) -> Version:
        """The champion, or an error that says how to get one.

        Raises:
            StackError: the project has no champion.
        """
        found = self.champion()
        if found is None:
            raise StackError(
                f"model {self.name}",
                found="no version with the alias champion",
                expected="a champion",
                todo=f"make train PROJECT={self.name}",
            )
        return found

    def aliased(self, alias: str) -> Version | None:
        """The version an alias points at, or None.

        Raises:
            httpx.HTTPError: the registry does not answer; another try may pass.
        """
        with rest.client(self._settings) as client:
            answer = client.get("mlflow/registered-models/alias", params={"name": self.name, "alias": alias})
            if _compat.is_absent(answer):
                return None
            return _version(rest.checked(answer)["model_version"])

    def numbered(self, version: str) -> Version:
        """A registered version by its number.

        Raises:
            httpx.HTTPError: the registry does not answer, or has no such version.
        """
        with rest.client(self._settings) as client:
            answer = client.get("mlflow/model-versions/get", params={"name": self.name, "version": version})
            return _version(rest.checked(answer)["model_version"])

    def set_champion(self, version: str) -> None:
        """Make a version champion; the old champion becomes previous.

        The alias ``champion`` moves in one request, after ``previous`` and before ``challenger`` is taken away:
        wherever this is interrupted, one whole version is champion, and doing it again completes it.
        """
        before = self.champion()
        awaiting, tried = self.challenger(), self.canary()
        with rest.client(self._settings) as client:
            if before is None or before.version != version:
                if before is not None:
                    point_alias(client, self.name, PREVIOUS, before.version)
                point_alias(client, self.name, CHAMPION, version)
            if awaiting is not None and awaiting.version == version:
                drop_alias(client, self.name, CHALLENGER)
            if tried is not None and tried.version == version:
                drop_alias(client, self.name, CANARY)

    def set_canary(self, version: str) -> None:
        """Make a version canary; it is challenger no longer."""
        awaiting = self.challenger()
        with rest.client(self._settings) as client:
            point_alias(client, self.name, CANARY, version)
            if awaiting is not None and awaiting.version == version:
                drop_alias(client, self.name, CHALLENGER)

    def clear_canary(self, version: str) -> None:
        """Let a version be canary no longer."""
        tried = self.canary()
        if tried is not None and tried.version == version:
            with rest.client(self._settings) as client:
                drop_alias(client, self.name, CANARY)

    def restore_champion(self, version: str) -> None:
        """Make a version champion that was so before; it is previous no longer.

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
        """The version that carries these tags: the first of several, or with the order "DESC" the newest."""
        wanted = [f"name = '{self.name}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
        query = {"filter": " and ".join(wanted), "order_by": f"version_number {order}", "max_results": "1"}
        with rest.client(self._settings) as client:
            found = rest.checked(client.get("mlflow/model-versions/search", params=query)).get("model_versions", [])
        return _version(found[0]) if found else None

    def delete(self, version: str) -> None:
        """Take a version out of the registry; its run stays."""
        with rest.client(self._settings) as client:
            rest.checked(
                client.request("DELETE", "mlflow/model-versions/delete", json={"name": self.name, "version": version})
            )

    def set_challenger(self, version: Version) -> None:
        """Make a version challenger."""
        with rest.client(self._settings) as client:
            point_alias(client, self.name, CHALLENGER, version.version)

    def finish(self, version: Version) -> None:
        """End the run that trained a version as finished."""
        with rest.client(self._settings) as client:
            rest.checked(client.post("mlflow/runs/update", json={"run_id": version.run_id, "status": "FINISHED"}))


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
