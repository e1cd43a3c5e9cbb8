"""Predictions over HTTP, against two servers of the same model in the same run, which read no features and keep no log.

One is ``mlflow models serve``, the other FastAPI with ONNX Runtime (:mod:`bench.onnx_server`).
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

from bench import processes
from bench.load import Load, load
from bench.servers import free_port, stop, wait
from bench.table import Row, ratio
from stack.core.settings import Settings
from stack.project import Project, contract
from stack.registry import artifacts
from stack.specification.specs import ProjectSpec

ROUNDS = 3
SECONDS = 5.0
ROWS = 500
"""Different flights, asked about in turn."""
EXPLAINED_P99 = 25.0
"""Milliseconds."""
OURS, MLFLOW, ONNX = "stack", "mlflow models serve", "FastAPI + ONNX"


class Way(NamedTuple):
    """A way of asking, with the bars of the stack."""

    words: str
    clients: int
    rate: float | None = None
    """Requests a second of each client at most."""
    rows: int = 1
    """Of each request."""
    least_rate: float = 0.0
    p99: float = float("inf")
    """Milliseconds."""
    times: Mapping[str, float] = {}  # noqa: RUF012  # never changed
    """Server -> how many times its rate is expected of the stack."""


WAYS = (
    Way("8 clients", 8, least_rate=1600, p99=10, times={MLFLOW: 3.0, ONNX: 0.8}),
    Way("1 client", 1),
    Way("1 client, 100 a second", 1, rate=100, p99=5),
    Way("1 client, 1,000 rows a request", 1, rows=1000, p99=60),
)


@dataclass(frozen=True)
class Speed:
    """Medians over the rounds of a load test."""

    rate: float
    p50: float
    p99: float
    failed: int

    @classmethod
    def of(cls, rounds: list[Load]) -> Self:
        """Sum up the rounds."""
        return cls(
            median(one.rate for one in rounds),
            median(one.quantile(0.5) for one in rounds),
            median(one.quantile(0.99) for one in rounds),
            sum(one.failed for one in rounds),
        )


def compare(settings: Settings, spec: ProjectSpec) -> list[Row]:
    """Load the servers in turn, round after round, with the same flights.

    The stack reads its features and writes its log; the other servers are sent the features.
    """
    before, speeds = processes.core_seconds(settings, "services.prediction"), measure(settings, spec)
    spent = processes.core_seconds(settings, "services.prediction") - before
    rows = [row for way in WAYS for row in _rows(way, {name: speeds[name, way.words] for name in (OURS, MLFLOW, ONNX)})]
    rows.append(explained(settings, spec))
    return [*rows, Row("core seconds of the prediction service during these loads", f"{spent:.0f} s")]


def explained(settings: Settings, spec: ProjectSpec) -> Row:
    """Ask for reasons, one client and one row a request."""
    bodies = [json.dumps(json.loads(body) | {"explain": True}).encode() for body in asked(settings, spec)]
    url = f"{settings.prediction_url}/{spec.name}/predict"
    rounds = [asyncio.run(load(url, bodies, clients=1, seconds=SECONDS)) for _ in range(ROUNDS + 1)]
    ours = Speed.of(rounds[1:])
    met = ours.p99 <= EXPLAINED_P99 and not ours.failed
    return Row("p99, 1 client, with reasons", f"{ours.p99:.1f} ms", bar=f"<= {EXPLAINED_P99:.0f} ms", met=met)


def _rows(way: Way, speeds: Mapping[str, Speed]) -> list[Row]:
    ours = speeds[OURS]
    rows = [
        Row(
            f"requests a second, {way.words}",
            f"{ours.rate:.0f}",
            f"{speeds[name].rate:.0f} {name}",
            ratio(ours.rate, speeds[name].rate),
            f">= {times} x" if (times := way.times.get(name)) else "",
            ours.rate >= times * speeds[name].rate and not ours.failed if times else None,
        )
        for name in (MLFLOW, ONNX)
    ]
    if way.least_rate:
        met = ours.rate >= way.least_rate
        rows.append(Row(f"rate, {way.words}", f"{ours.rate:.0f}", bar=f">= {way.least_rate:.0f}", met=met))
    p50, p99 = (f"{speeds[ONNX].p50:.1f} ms {ONNX}", f"{speeds[ONNX].p99:.1f} ms {ONNX}")
    bar = f"<= {way.p99:.0f} ms" if way.p99 < float("inf") else ""
    return [
        *rows,
        Row(f"p50, {way.words}", f"{ours.p50:.1f} ms", p50, ratio(ours.p50, speeds[ONNX].p50)),
        Row(
            f"p99, {way.words}",
            f"{ours.p99:.1f} ms",
            p99,
            ratio(ours.p99, speeds[ONNX].p99),
            bar,
            ours.p99 <= way.p99 if bar else None,
        ),
    ]


def measure(settings: Settings, spec: ProjectSpec) -> dict[tuple[str, str], Speed]:
    """What each server does for each way of asking."""
    ours = f"{settings.prediction_url}/{spec.name}/predict"
    rows = asked(settings, spec)
    measured: dict[tuple[str, str], list[Load]] = {}
    with mlflow_serving(settings, spec) as mlflow, onnx_serving(settings, spec) as onnx:
        values = features(settings, spec, ours, rows)
        for way in WAYS:
            targets = {
                OURS: (ours, rows if way.rows == 1 else [_together(rows, way.rows)]),
                MLFLOW: (mlflow, [_split(many) for many in _groups(values, way.rows)]),
                ONNX: (onnx, [json.dumps({"rows": many}).encode() for many in _groups(values, way.rows)]),
            }
            for url, bodies in targets.values():
                asyncio.run(load(url, bodies, clients=way.clients, seconds=1, rate=way.rate))
            for _ in range(ROUNDS):
                for name, (url, bodies) in targets.items():
                    found = asyncio.run(load(url, bodies, clients=way.clients, seconds=SECONDS, rate=way.rate))
                    measured.setdefault((name, way.words), []).append(found)
    return {key: Speed.of(rounds) for key, rounds in measured.items()}


def _together(bodies: list[bytes], count: int) -> bytes:
    """One body of many rows, out of those of one row each."""
    rows = [row for body in bodies for row in json.loads(body)["rows"]]
    return json.dumps({"rows": (rows * (count // len(rows) + 1))[:count]}).encode()


def _groups(values: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Rows of features, so many a request."""
    return [[one] for one in values] if size == 1 else [(values * (size // len(values) + 1))[:size]]


def _split(rows: list[dict[str, Any]]) -> bytes:
    """A body for MLflow's server."""
    data = [list(row.values()) for row in rows]
    return json.dumps({"dataframe_split": {"columns": list(rows[0]), "data": data}}).encode()


def asked(settings: Settings, spec: ProjectSpec) -> list[bytes]:
    """Bodies of one row each: what would be asked in the two days after "now"."""
    now = Project(settings, spec).clock.now()
    requests = contract.request_source(spec.name).requests(now, now + timedelta(days=2)).head(ROWS)
    rows = requests[list(spec.request)].to_dict("records")
    return [json.dumps({"rows": [row]}, default=lambda instant: instant.isoformat()).encode() for row in rows]


def features(settings: Settings, spec: ProjectSpec, url: str, rows: list[bytes]) -> list[dict[str, Any]]:
    """The features that the stack used for the same rows, out of its log."""
    ids: list[str] = []
    asyncio.run(
        load(url, rows, clients=1, seconds=5, answered=lambda body: ids.append(json.loads(body)[0]["prediction_id"]))
    )
    now = Project(settings, spec).clock.now()
    log = Project(settings, spec).log.read(now - timedelta(seconds=1), now).set_index("id").loc[ids[: len(rows)]]
    frame = log[list(spec.features.columns)]
    return json.loads(frame.to_json(orient="records"))  # type: ignore[no-any-return]


@contextmanager
def onnx_serving(settings: Settings, spec: ProjectSpec) -> Iterator[str]:
    """Serve the champion's served form by FastAPI; yields where it takes requests."""
    with TemporaryDirectory(prefix="bench-onnx-") as folder:
        form = Path(folder) / "served"
        artifacts.fetch(settings, Project(settings, spec).registry.require_champion(), form)
        port = free_port()
        command = [sys.executable, "-m", "bench.onnx_server", str(form), str(port)]
        with running(command, os.environ, settings.logs / "onnx-server.log", f"http://127.0.0.1:{port}/ping"):
            yield f"http://127.0.0.1:{port}/predict"


@contextmanager
def mlflow_serving(settings: Settings, spec: ProjectSpec) -> Iterator[str]:
    """Serve the champion with MLflow's own server; yields where it takes requests."""
    port = free_port()
    champion = Project(settings, spec).registry.require_champion()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", f"models:/{spec.name}/{champion.version}"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--env-manager", "local"]
    environ: Mapping[str, str] = os.environ | {
        "MLFLOW_TRACKING_URI": settings.mlflow_url,
        "OMP_NUM_THREADS": "1",
        # It starts the uvicorn that it finds there.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        # MLflow refuses skops files otherwise, as their allow-list lies beside the model; this one is ours.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
    }
    with running(command, environ, settings.logs / "mlflow-models-serve.log", f"http://127.0.0.1:{port}/ping"):
        yield f"http://127.0.0.1:{port}/invocations"


@contextmanager
def running(command: list[str], environ: Mapping[str, str], log: Path, ready: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, from its first answer to the end of the context."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        wait(ready, process, log)
        yield process
    finally:
        stop(process)
