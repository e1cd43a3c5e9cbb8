"""The alias ``champion`` moved again and again while requests come in: none may fail, and none may wait for a swap."""

import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple

import httpx

from bench.load import Answered, load, quantile
from bench.serving import asked
from bench.table import Row, ratio
from stack.core.settings import Settings
from stack.project import Project
from stack.registry import registry
from stack.specification.specs import ProjectSpec

MOVES = 10
CLIENTS = 8
CALM_SECONDS = 1.0
"""Between two moves, so that there is something to compare with."""
MARGIN_SECONDS = 0.2
"""After a new version answers: the one before it is let go."""
DELAY_MS = 50.0
"""What a request may take longer, because of a swap, than 99 of 100 do in calm moments."""


class Move(NamedTuple):
    """When an alias was moved, and when the version was seen to answer; instants of `perf_counter`."""

    began: float
    ended: float

    def meets(self, one: Answered) -> bool:
        """Whether a request was under way meanwhile."""
        return one.sent < self.ended and one.sent + one.seconds > self.began


@dataclass
class Swaps:
    """What the clients saw of the moves."""

    moves: list[Move] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    failed: int = 0
    versions: set[str] = field(default_factory=set)

    def rows(self) -> list[Row]:
        """The figures: failures, and latency of the requests that met a swap against the calm ones."""
        met = [one.seconds for one in self.answers if any(move.meets(one) for move in self.moves)]
        calm = [one.seconds for one in self.answers if not any(move.meets(one) for move in self.moves)]
        swap99, calm99 = quantile(sorted(met), 0.99), quantile(sorted(calm), 0.99)
        late = _beyond(met, calm99 + DELAY_MS)
        of_calm = f"{_beyond(calm, calm99 + DELAY_MS)} of {len(calm):,} calm ones, slowest {_slowest(calm)}"
        both = f"{len(self.moves)} swaps, {CLIENTS} clients"
        return [
            Row(
                f"requests that failed, {both}",
                f"{self.failed} of {len(self.answers) + self.failed:,}",
                bar="0",
                met=not self.failed and len(self.versions) > 1,
            ),
            Row("p99 of requests during a swap", f"{swap99:.1f} ms", f"{calm99:.1f} ms calm", ratio(swap99, calm99)),
            Row(
                f"requests during a swap > calm p99 + {DELAY_MS:.0f} ms",
                f"{late} of {len(met):,}, slowest {_slowest(met)}",
                of_calm,
                bar="0",
                met=not late,
            ),
        ]


def under_load(settings: Settings, spec: ProjectSpec) -> Swaps:
    """Move the alias between the champion and a second version of the same run, waiting for each to answer."""
    url = f"{settings.prediction_url}/{spec.name}/predict"
    champion = Project(settings, spec).registry.require_champion()
    other = _registered_again(settings, champion)
    seen, rows = Swaps(), asked(settings, spec)
    versions = [other, champion.version] * (MOVES // 2)

    def answered(body: bytes) -> None:
        seen.versions.update(row["model_version"] for row in json.loads(body))

    asyncio.run(load(url, rows, clients=CLIENTS, seconds=1))
    with ThreadPoolExecutor(1) as beside:
        moving = beside.submit(_move, settings, spec, versions)
        while not moving.done():
            found = asyncio.run(load(url, rows, clients=CLIENTS, seconds=2, answered=answered))
            seen.answers += found.answers
            seen.failed += found.failed
        seen.moves += moving.result()
    return seen


def _move(settings: Settings, spec: ProjectSpec, versions: Sequence[str]) -> list[Move]:
    moves = []
    # A client that could speak TLS takes 27 ms to make, in the process that measures.
    with httpx.Client(base_url=settings.prediction_url, timeout=10, trust_env=False, verify=False) as client:
        for version in versions:
            time.sleep(CALM_SECONDS)
            began = perf_counter()
            Project(settings, spec).registry.set_champion(version)
            while client.get("/readyz").json()["projects"][spec.name]["champion"] != version:
                time.sleep(0.1)
            time.sleep(MARGIN_SECONDS)
            moves.append(Move(began, perf_counter()))
    return moves


def _beyond(latencies: Sequence[float], milliseconds: float) -> int:
    return sum(1000 * one > milliseconds for one in latencies)


def _slowest(latencies: Sequence[float]) -> str:
    return f"{1000 * max(latencies, default=0):.0f} ms"


def _registered_again(settings: Settings, version: registry.Version) -> str:
    """Register the run of a version once more; returns the new version."""
    body = {"name": version.name, "source": f"models:/{version.name}/{version.version}", "run_id": version.run_id}
    url = f"{settings.mlflow_url}/api/2.0/mlflow/model-versions/create"
    answer = httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status().json()
    return str(answer["model_version"]["version"])
