"""The model registry: who is champion, moving aliases, and fetching a version's files.

Speaks MLflow's REST API (https://mlflow.org/docs/latest/rest-api.html) and not its Python client: importing that
costs each process of the prediction service 4 s and 150 MB.
"""

from __future__ import annotations

import os
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import httpx

from stack.errors import StackError
from stack.project import ProjectSpec
from stack.settings import Settings

if TYPE_CHECKING:
    from pandas import DataFrame

CHAMPION, CHALLENGER, PREVIOUS, CANARY = "champion", "challenger", "previous", "canary"
TIMEOUT_SECONDS = 30.0
# A model without the alias is INVALID_PARAMETER_VALUE, a project without a model RESOURCE_DOES_NOT_EXIST.
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")


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


def champion(settings: Settings, spec: ProjectSpec) -> Version | None:
    """The version that answers requests."""
    return aliased(settings, spec, CHAMPION)


def challenger(settings: Settings, spec: ProjectSpec) -> Version | None:
    """The version that was trained last and awaits the gate."""
    return aliased(settings, spec, CHALLENGER)


def previous(settings: Settings, spec: ProjectSpec) -> Version | None:
    """The champion before the present one."""
    return aliased(settings, spec, PREVIOUS)


def canary(settings: Settings, spec: ProjectSpec) -> Version | None:
    """The version that answers a share of the requests."""
    return aliased(settings, spec, CANARY)


def require_champion(settings: Settings, spec: ProjectSpec) -> Version:
    """The champion, or an error that says how to get one.

    Raises:
        StackError: the project has no champion.
    """
    found = champion(settings, spec)
    if found is None:
        raise StackError(
            f"model {spec.name}",
            found="no version with the alias champion",
            expected="a champion",
            todo=f"make train PROJECT={spec.name}",
        )
    return found


def aliased(settings: Settings, spec: ProjectSpec, alias: str) -> Version | None:
    """The version an alias points at, or None.

    Raises:
        httpx.HTTPError: the registry does not answer; another try may pass.
    """
    with _client(settings) as client:
        answer = client.get("mlflow/registered-models/alias", params={"name": spec.name, "alias": alias})
        if answer.is_client_error and answer.json().get("error_code") in ABSENT:
            return None
        return _version(_checked(answer)["model_version"])


def numbered(settings: Settings, spec: ProjectSpec, version: str) -> Version:
    """A registered version by its number.

    Raises:
        httpx.HTTPError: the registry does not answer, or has no such version.
    """
    with _client(settings) as client:
        answer = client.get("mlflow/model-versions/get", params={"name": spec.name, "version": version})
        return _version(_checked(answer)["model_version"])


def promote(settings: Settings, spec: ProjectSpec, version: str) -> None:
    """Make a version champion; the old champion becomes previous.

    The alias ``champion`` moves in one request, after ``previous`` and before ``challenger`` is taken away: wherever
    this is interrupted, one whole version is champion, and doing it again completes it.
    """
    before = champion(settings, spec)
    awaiting, tried = challenger(settings, spec), canary(settings, spec)
    with _client(settings) as client:
        if before is None or before.version != version:
            if before is not None:
                _point(client, spec, PREVIOUS, before.version)
            _point(client, spec, CHAMPION, version)
        if awaiting is not None and awaiting.version == version:
            _drop(client, spec, CHALLENGER)
        if tried is not None and tried.version == version:
            _drop(client, spec, CANARY)


def try_out(settings: Settings, spec: ProjectSpec, version: str) -> None:
    """Make a version canary; it is challenger no longer."""
    awaiting = challenger(settings, spec)
    with _client(settings) as client:
        _point(client, spec, CANARY, version)
        if awaiting is not None and awaiting.version == version:
            _drop(client, spec, CHALLENGER)


def withdraw(settings: Settings, spec: ProjectSpec, version: str) -> None:
    """Let a version be canary no longer."""
    tried = canary(settings, spec)
    if tried is not None and tried.version == version:
        with _client(settings) as client:
            _drop(client, spec, CANARY)


def rollback(settings: Settings, spec: ProjectSpec, version: str) -> None:
    """Make a version champion that was so before; it is previous no longer.

    As in :func:`promote`, one whole version is champion wherever this is interrupted, and doing it again completes it.
    """
    before = previous(settings, spec)
    with _client(settings) as client:
        _point(client, spec, CHAMPION, version)
        if before is not None and before.version == version:
            _drop(client, spec, PREVIOUS)


def tag(settings: Settings, version: Version, tags: Mapping[str, str]) -> None:
    """Set tags on a version."""
    with _client(settings) as client:
        for key, value in tags.items():
            body = {"name": version.name, "version": version.version, "key": key, "value": value}
            _checked(client.post("mlflow/model-versions/set-tag", json=body))


def tagged(settings: Settings, spec: ProjectSpec, tags: Mapping[str, str], order: str = "ASC") -> Version | None:
    """The version that carries these tags: the first of several, or with the order "DESC" the newest."""
    wanted = [f"name = '{spec.name}'", *(f"tag.`{key}` = '{value}'" for key, value in tags.items())]
    query = {"filter": " and ".join(wanted), "order_by": f"version_number {order}", "max_results": "1"}
    with _client(settings) as client:
        found = _checked(client.get("mlflow/model-versions/search", params=query)).get("model_versions", [])
    return _version(found[0]) if found else None


def delete(settings: Settings, spec: ProjectSpec, version: str) -> None:
    """Take a version out of the registry; its run stays."""
    with _client(settings) as client:
        _checked(client.request("DELETE", "mlflow/model-versions/delete", json={"name": spec.name, "version": version}))


def nominate(settings: Settings, spec: ProjectSpec, version: Version) -> None:
    """Make a version challenger."""
    with _client(settings) as client:
        _point(client, spec, CHALLENGER, version.version)


def finish(settings: Settings, version: Version) -> None:
    """End the run that trained a version as finished."""
    with _client(settings) as client:
        _checked(client.post("mlflow/runs/update", json={"run_id": version.run_id, "status": "FINISHED"}))


def fetch(settings: Settings, version: Version, folder: Path) -> None:
    """Download a version's served form into `folder`, whole or not at all.

    Args:
        folder: made if it is missing; an existing folder must be empty.
    """
    download(settings, version, "served", folder)


def download(settings: Settings, version: Version, name: str, folder: Path) -> None:
    """Download an artifact folder of the version's run into `folder`, whole or not at all."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with _client(settings) as client:
            root = _checked(client.get("mlflow/runs/get", params={"run_id": version.run_id}))["run"]["info"][
                "artifact_uri"
            ]
            paths = list(_files(client, version.run_id, name))
            if not paths:
                raise StackError(
                    f"model {version.name}, version {version.version}, run {version.run_id}",
                    found=f"no artifacts below {name}/",
                    expected="a version that a training of the stack registered",
                    todo=f"make train PROJECT={version.name}",
                )
            for path in paths:
                target = aside / Path(path).relative_to(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                _save(client, root, path, target)
        # rename(2) replaces an empty folder in one step.
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def upload(settings: Settings, version: Version, name: str, files: Mapping[str, bytes]) -> None:
    """Add files to an artifact folder of the version's run."""
    with _client(settings) as client:
        root = _root(client, version)
        for file, content in files.items():
            _raise(client.put(_proxied(root, f"{name}/{file}"), content=content))


def reference(settings: Settings, version: Version) -> DataFrame:
    """A sample of the rows a version was trained on: features, label, probability, event timestamp."""
    return _table(settings, version, "reference")


def holdout(settings: Settings, version: Version) -> DataFrame:
    """The holdout of a version's training: event, features, label, and the probability before the refit."""
    return _table(settings, version, "holdout")


def _table(settings: Settings, version: Version, name: str) -> DataFrame:
    import pandas as pd  # 70 MB that the prediction service must not pay for

    with artifacts(settings, version, name) as folder:
        return pd.read_parquet(folder / f"{name}.parquet")


@contextmanager
def artifacts(settings: Settings, version: Version, name: str) -> Iterator[Path]:
    """An artifact folder of the version's run, downloaded for the time of the context."""
    with TemporaryDirectory() as parent:
        folder = Path(parent) / name
        download(settings, version, name, folder)
        yield folder


def _version(raw: Mapping[str, Any]) -> Version:
    tags = {tag["key"]: tag["value"] for tag in raw.get("tags", [])}
    return Version(raw["name"], str(raw["version"]), raw["run_id"], tags)


def _point(client: httpx.Client, spec: ProjectSpec, alias: str, version: str) -> None:
    body = {"name": spec.name, "alias": alias, "version": version}
    _checked(client.post("mlflow/registered-models/alias", json=body))


def _drop(client: httpx.Client, spec: ProjectSpec, alias: str) -> None:
    _checked(client.request("DELETE", "mlflow/registered-models/alias", json={"name": spec.name, "alias": alias}))


def _root(client: httpx.Client, version: Version) -> str:
    """Where the artifacts of the version's run are, as MLflow says it."""
    run = _checked(client.get("mlflow/runs/get", params={"run_id": version.run_id}))["run"]
    return str(run["info"]["artifact_uri"])


def _files(client: httpx.Client, run_id: str, path: str) -> Iterator[str]:
    """Paths of all files below an artifact folder of a run."""
    for entry in _checked(client.get("mlflow/artifacts/list", params={"run_id": run_id, "path": path})).get(
        "files", []
    ):
        if entry.get("is_dir"):
            yield from _files(client, run_id, entry["path"])
        else:
            yield entry["path"]


def _save(client: httpx.Client, root: str, path: str, target: Path) -> None:
    with client.stream("GET", _proxied(root, path)) as answer, target.open("wb") as file:
        if answer.is_error:
            answer.read()
        _raise(answer)
        for chunk in answer.iter_bytes():
            file.write(chunk)


def _proxied(root: str, path: str) -> str:
    """Where the server hands out an artifact: the stack logs every artifact through it (``mlflow-artifacts:``)."""
    return f"mlflow-artifacts/artifacts/{quote(urlsplit(root).path.strip('/'))}/{quote(path)}"


def _client(settings: Settings) -> httpx.Client:
    """A client of the REST API; proxies of the environment are not for services of the stack.

    Through a gateway it has the login and the authority that MLflow's own client has, by the same variables:
    https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
    """
    url = f"{settings.mlflow_url}/api/2.0/"
    # A TLS context costs 27 ms of CPU, and the prediction service asks every second.
    verify: ssl.SSLContext | bool = False
    if settings.mlflow_url.startswith("https:"):
        verify = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    login = (user, password) if user and password else None
    return httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False, verify=verify, auth=login)


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """The parsed answer."""
    _raise(answer)
    parsed: dict[str, Any] = answer.json() if answer.content else {}
    return parsed


def _raise(answer: httpx.Response) -> None:
    """Raise with the server's own words where it refuses."""
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}",
            request=answer.request,
            response=answer,
        )
