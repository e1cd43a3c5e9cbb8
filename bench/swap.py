"""The alias ``champion`` moved again and again while requests come in."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass

import httpx

from bench.load import load
from bench.serving import asked
from stack.project import ProjectSpec
from stack.promotion import registry
from stack.settings import Settings

MOVES = 10
CLIENTS = 8


@dataclass(frozen=True)
class Swaps:
    """What the clients saw of the moves."""

    moves: int
    requests: int
    failed: int
    versions: list[str]
    p99: float


def under_load(settings: Settings, spec: ProjectSpec) -> Swaps:
    """Move the alias between the champion and a second version of the same run, waiting for each to answer."""
    url = f"{settings.prediction_url}/{spec.name}/predict"
    champion = registry.require_champion(settings, spec)
    other = _registered_again(settings, champion)
    moves = threading.Thread(target=_move, args=(settings, spec, [other, champion.version] * (MOVES // 2)))
    versions: set[str] = set()
    requests = failed = 0
    p99 = 0.0
    moves.start()
    while moves.is_alive():
        found = asyncio.run(
            load(
                url,
                asked(settings, spec),
                clients=CLIENTS,
                seconds=2,
                answered=lambda body: versions.update(row["model_version"] for row in json.loads(body)),
            )
        )
        requests, failed, p99 = requests + found.statuses.total(), failed + found.failed, max(p99, found.quantile(0.99))
    return Swaps(MOVES, requests, failed, sorted(versions), p99)


def _move(settings: Settings, spec: ProjectSpec, versions: list[str]) -> None:
    for version in versions:
        registry.promote(settings, spec, version)
        while _answering(settings, spec) != version:
            time.sleep(0.1)


def _answering(settings: Settings, spec: ProjectSpec) -> str:
    state = httpx.get(f"{settings.prediction_url}/readyz", timeout=10, trust_env=False).json()
    return str(state["projects"][spec.name]["champion"])


def _registered_again(settings: Settings, version: registry.Version) -> str:
    """Register the run of a version once more; returns the new version."""
    body = {"name": version.name, "source": f"models:/{version.name}/{version.version}", "run_id": version.run_id}
    url = f"{settings.mlflow_url}/api/2.0/mlflow/model-versions/create"
    answer = httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status().json()
    return str(answer["model_version"]["version"])
