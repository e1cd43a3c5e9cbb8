"""The state of a project, without what depends on the wall clock or on the project's name."""

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from sqlalchemy import select

from stack.core.database import engine, predictions
from stack.core.settings import Settings, settings
from stack.features import feature_tables
from stack.lake import history, repository
from stack.project import Project
from stack.promotion import decisions
from stack.registry import registry
from stack.specification import specs
from tests.polling import PATIENCE_SECONDS

METRICS = ("auc", "brier", "log_loss")


def of(name: str) -> dict[str, Any]:
    """The state of a project in the stack of this environment."""
    here, spec = settings(), specs.load(name)
    with repository.opened(here) as repo:
        batches = repository.snapshot(repo, name, repo.scm.get_rev())
        subjects = [commit.message.partition("\n")[0] for commit in history.commits(repo.scm)]
    state = {
        "lake": {f"{table}/{batch}": _hash(Path(path)) for (table, batch), path in batches.items()},
        "commits": sorted(subject for subject in subjects if subject.split()[1] == name),
        "features": {str(path.relative_to(here.feature_tables / name)): _rows(path) for path in _tables(here, name)},
        "served": feature_tables.served_until(Project(here, spec)).isoformat(),
        "clock": Project(here, spec).clock.now().isoformat(),
        "versions": _versions(here, name),
        "aliases": {
            alias: getattr(Project(here, spec).registry.aliased(alias), "version", None)
            for alias in (registry.CHAMPION, registry.CHALLENGER, registry.PREVIOUS)
        },
        "audit": [
            [entry.number, entry.kind, entry.version, entry.champion, entry.at.isoformat(), entry.state]
            for entry in decisions.entries(Project(here, spec))
        ],
        "log": _log(here, name),
        "reports": sorted(path.name for path in (here.pages / name).glob("*")),
        "quarantine": sorted(path.name for path in (here.quarantine / name).glob("*")),
    }
    text: dict[str, Any] = json.loads(json.dumps(state, default=str).replace(name, "project"))
    return text


def _versions(here: Settings, name: str) -> list[Any]:
    """Each version with its metrics, and how its run ended."""
    api = f"{here.mlflow_url}/api/2.0/mlflow"
    answer = (
        httpx.get(f"{api}/model-versions/search", params={"filter": f"name = '{name}'"}, timeout=PATIENCE_SECONDS)
        .raise_for_status()
        .json()
    )
    versions = []
    for version in sorted(answer.get("model_versions", []), key=lambda row: int(row["version"])):
        run = (
            httpx.get(f"{api}/runs/get", params={"run_id": version["run_id"]}, timeout=PATIENCE_SECONDS)
            .raise_for_status()
            .json()["run"]
        )
        metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
        versions.append([version["version"], run["info"]["status"], {key: metrics[key] for key in METRICS}])
    return versions


def _log(here: Settings, name: str) -> list[Any]:
    """Every prediction, without its id, which is derived from the project's name, and the instant of the answer."""
    columns = [column for column in predictions.columns if column.name not in ("id", "project", "answered_at")]
    query = select(*columns).where(predictions.c.project == name).order_by(predictions.c.asked_at, *columns[1:2])
    with engine(here.state_database).connect() as connection:
        return sorted(str(row._asdict()) for row in connection.execute(query))


def _tables(here: Settings, name: str) -> list[Path]:
    return sorted((here.feature_tables / name).rglob("*.parquet"))


def _rows(path: Path) -> str:
    """Hash of the rows of a feature table, which have no order."""
    frame = pd.read_parquet(path)
    frame = frame.sort_values(list(frame.columns), ignore_index=True)
    return hashlib.sha256(pd.util.hash_pandas_object(frame).to_numpy().tobytes()).hexdigest()


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
