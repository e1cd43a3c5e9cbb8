"""The model registry: who is champion, moving aliases, and the versions with their tags."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partialmethod
from math import isfinite, nan
from typing import Any

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import _compat, rest

CHAMPION, CHALLENGER, PREVIOUS, CANARY = "champion", "challenger", "previous", "canary"
IMPORTED = "stack.imported"
"""Tag of a version that was trained elsewhere: its file, and what made it."""
SINCE = "stack.since"
"""Tag of a version: the first event that it was trained on."""
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

    def growth(self, at: datetime) -> float | None:
        """Return the time since the cut-off as a share of the span of the training data; None where that is unknown."""
        since = self.tags.get(SINCE)
        span = self.cutoff - datetime.fromisoformat(since) if since else timedelta(0)
        return (at - self.cutoff) / span if span > timedelta(0) else None

    @property
    def metrics(self) -> dict[str, float]:
        """Return the holdout metrics, those that are finite.

        The tag ``stack.metrics`` lists their names. A version of before it has metrics in all tags without a dot.
        """
        listed = self.tags.get(METRICS)
        names = json.loads(listed) if listed else [key for key in self.tags if "." not in key]
        numbers = {key: _number(value) for key, value in self.tags.items() if key in names}
        return {key: number for key, number in numbers.items() if isfinite(number)}

    @property
    def imported(self) -> bool:
        """Return whether the model was trained elsewhere."""
        return IMPORTED in self.tags

    def tag(self, key: str) -> str:
        """Return a tag that every training sets; raise a `StackError` where the version has another origin."""
        if key not in self.tags:
            raise StackError(
                f"model {self.name}, version {self.version}",
                found=f"no tag {key}",
                expected="a version that a training of the stack registered",
                todo=f"make train PROJECT={self.name}",
            )
        return self.tags[key]


@dataclass(frozen=True)
class Run:
    """What MLflow has of the run that trained a version."""

    metrics: Mapping[str, float]
    parameters: Mapping[str, str]


class Registry:
    """The registered model of a project, in MLflow. Only :mod:`stack.promotion` moves aliases.

    Every method raises ``httpx.HTTPError`` where the registry does not answer; another try may pass.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings, self.name = settings, name

    def aliased(self, alias: str) -> Version | None:
        """Return the version that an alias points at, or None."""
        query = {"name": self.name, "alias": alias}
        answer = rest.send(self._settings, "GET", "mlflow/registered-models/alias", params=query)
        return None if _compat.is_absent(answer) else _version(rest.checked(answer)["model_version"])

    champion = partialmethod(aliased, CHAMPION)
    """Return the version that answers requests."""
    challenger = partialmethod(aliased, CHALLENGER)
    """Return the version that was trained last and awaits the gate."""
    previous = partialmethod(aliased, PREVIOUS)
    """Return the champion before the present one."""
    canary = partialmethod(aliased, CANARY)
    """Return the version that answers a share of the requests."""

    def require_champion(self) -> Version:
        """Return the champion, or raise a `StackError` where there is none."""
        champion = self.champion()
        if champion is None:
            raise StackError(
                f"model {self.name}",
                found="no version with the alias champion",
                expected="a champion",
                todo=f"make train PROJECT={self.name}",
            )
        return champion

    def numbered(self, version: str) -> Version:
        """Return a registered version by its number; an unknown one is an ``httpx.HTTPError`` too."""
        query = {"name": self.name, "version": version}
        return _version(self._call("GET", "model-versions/get", params=query)["model_version"])

    def tagged(self, tags: Mapping[str, str], order: str = "ASC") -> Version | None:
        """Return the version that has these tags: the first of several, or with the order "DESC" the newest."""
        wanted = [f"name = '{self.name}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
        query = {"filter": " and ".join(wanted), "order_by": f"version_number {order}", "max_results": "1"}
        versions = self._call("GET", "model-versions/search", params=query).get("model_versions")
        return _version(versions[0]) if versions else None

    def versions(self) -> list[Version]:
        """Return all versions, the newest first."""
        query = {"filter": f"name = '{self.name}'", "order_by": "version_number DESC", "max_results": "10000"}
        found = self._call("GET", "model-versions/search", params=query).get("model_versions", [])
        return [_version(raw) for raw in found]

    def run(self, version: Version) -> Run:
        """Return the metrics and parameters of the run that trained a version."""
        data = self._call("GET", "runs/get", params={"run_id": version.run_id})["run"]["data"]
        metrics = {metric["key"]: float(metric["value"]) for metric in data.get("metrics", [])}
        return Run(metrics, {param["key"]: param["value"] for param in data.get("params", [])})

    def set_champion(self, version: str) -> None:
        """Make a version champion; the old champion becomes previous.

        The alias ``champion`` moves in one request, after ``previous`` and before ``challenger`` is removed: wherever
        this is interrupted, one whole version is champion, and doing it again completes it.
        """
        before = self.champion()
        if before is None or before.version != version:
            if before is not None:
                self.point_alias(PREVIOUS, before.version)
            self.point_alias(CHAMPION, version)
        self._drop_alias_of(CHALLENGER, version)
        self._drop_alias_of(CANARY, version)

    def restore_champion(self, version: str) -> None:
        """Make the previous version champion again; it is previous no longer.

        As in :meth:`set_champion`, one whole version is champion wherever this is interrupted, and doing it again
        completes it.
        """
        self.point_alias(CHAMPION, version)
        self._drop_alias_of(PREVIOUS, version)

    def set_challenger(self, version: Version) -> None:
        """Make a version challenger."""
        self.point_alias(CHALLENGER, version.version)

    def set_canary(self, version: str) -> None:
        """Make a version canary; it is challenger no longer."""
        self.point_alias(CANARY, version)
        self._drop_alias_of(CHALLENGER, version)

    def clear_canary(self, version: str) -> None:
        """Remove the alias ``canary`` from a version."""
        self._drop_alias_of(CANARY, version)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set tags on a version."""
        for key, value in tags.items():
            body = {"name": version.name, "version": version.version, "key": key, "value": value}
            self._call("POST", "model-versions/set-tag", json=body)

    def delete(self, version: str) -> None:
        """Delete a version from the registry; its run stays."""
        self._call("DELETE", "model-versions/delete", json={"name": self.name, "version": version})

    def remove(self) -> tuple[int, str]:
        """Delete the model with all its versions, and the experiment with its runs.

        Returns:
            How many versions there were, and the experiment's id; empty where there was none.
        """
        versions, experiment = self.versions(), self._remove_experiment()
        gone = rest.send(self._settings, "DELETE", "mlflow/registered-models/delete", json={"name": self.name})
        if not _compat.is_absent(gone):
            rest.refuse(gone)
        return len(versions), experiment

    def _remove_experiment(self) -> str:
        query = {"experiment_name": self.name}
        found = rest.send(self._settings, "GET", "mlflow/experiments/get-by-name", params=query)
        if _compat.is_absent(found):
            return ""
        experiment = rest.checked(found)["experiment"]
        identity = str(experiment["experiment_id"])
        # MLflow keeps a deleted experiment, and would give a new one of the same name the old runs.
        if experiment["lifecycle_stage"] == "active":
            body = {"experiment_id": identity, "new_name": f"{self.name}, removed ({identity})"}
            self._call("POST", "experiments/update", json=body)
            self._call("POST", "experiments/delete", json={"experiment_id": identity})
        return identity

    def finish(self, version: Version) -> None:
        """End the run that trained a version as finished."""
        self._call("POST", "runs/update", json={"run_id": version.run_id, "status": "FINISHED"})

    def point_alias(self, alias: str, version: str) -> None:
        """Point an alias of the model at a version."""
        self._call("POST", "registered-models/alias", json={"name": self.name, "alias": alias, "version": version})

    def drop_alias(self, alias: str) -> None:
        """Remove an alias of the model."""
        self._call("DELETE", "registered-models/alias", json={"name": self.name, "alias": alias})

    def _drop_alias_of(self, alias: str, version: str) -> None:
        """Remove an alias where it points at this version."""
        current = self.aliased(alias)
        if current is not None and current.version == version:
            self.drop_alias(alias)

    def _call(self, method: str, path: str, **content: Any) -> dict[str, Any]:
        return rest.checked(rest.send(self._settings, method, f"mlflow/{path}", **content))


def aliases(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the versions of all models' aliases: model -> alias -> version."""
    answer = rest.send(settings, "GET", "mlflow/registered-models/search", params={"max_results": "1000"})
    models = rest.checked(answer).get("registered_models", [])
    return {model["name"]: {at["alias"]: at["version"] for at in model.get("aliases", [])} for model in models}


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def _version(raw: Mapping[str, Any]) -> Version:
    tags = {tag["key"]: tag["value"] for tag in raw.get("tags", [])}
    return Version(raw["name"], str(raw["version"]), raw["run_id"], tags)
