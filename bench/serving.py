"""One-row predictions over HTTP, against ``mlflow models serve`` of the same pipeline in the same run."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Self

from bench.load import Load, load
from bench.servers import free_port, stop, wait
from bench.table import Row, ratio
from stack.core.settings import Settings
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec

ROUNDS = 3
SECONDS = 5.0
ROWS = 500
"""Different flights, asked about in turn."""
CLIENTS = (8, 1)
BAR = 3.0
"""At so many clients as come first, times the other server's requests a second."""
OURS, THEIRS = "stack", "mlflow models serve"


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
    """Load both servers in turn, round after round, with the same flights.

    The stack reads its features and writes its log; the other server is sent the features.
    """
    speeds = measure(settings, spec)
    return [row for count in CLIENTS for row in _rows(count, speeds[OURS, count], speeds[THEIRS, count])]


def _rows(clients: int, ours: Speed, theirs: Speed) -> list[Row]:
    of = f"{clients} client{'' if clients == 1 else 's'}"
    rate = Row(
        f"requests a second, {of}, one row each",
        f"{ours.rate:.0f}",
        f"{theirs.rate:.0f} {THEIRS}",
        ratio(ours.rate, theirs.rate),
    )
    if clients == CLIENTS[0]:
        rate = replace(rate, bar=f">= {BAR:.0f} x", met=ours.rate >= BAR * theirs.rate and not ours.failed)
    return [
        rate,
        *(_latency(f"p{share}, {of}", getattr(ours, f"p{share}"), getattr(theirs, f"p{share}")) for share in (50, 99)),
    ]


def _latency(what: str, ours: float, theirs: float) -> Row:
    return Row(what, f"{ours:.1f} ms", f"{theirs:.1f} ms {THEIRS}", ratio(ours, theirs))


def measure(settings: Settings, spec: ProjectSpec) -> dict[tuple[str, int], Speed]:
    """What each server does for each number of clients."""
    ours = f"{settings.prediction_url}/{spec.name}/predict"
    rows = asked(settings, spec)
    measured: dict[tuple[str, int], list[Load]] = {}
    with mlflow_serving(settings, spec) as theirs:
        targets = {OURS: (ours, rows), THEIRS: (theirs, features(settings, spec, ours, rows))}
        for count in CLIENTS:
            for url, bodies in targets.values():
                asyncio.run(load(url, bodies, clients=count, seconds=1))
            for _ in range(ROUNDS):
                for name, (url, bodies) in targets.items():
                    found = asyncio.run(load(url, bodies, clients=count, seconds=SECONDS))
                    measured.setdefault((name, count), []).append(found)
    return {key: Speed.of(rounds) for key, rounds in measured.items()}


def asked(settings: Settings, spec: ProjectSpec) -> list[bytes]:
    """Bodies of one row each: what would be asked in the two days after "now"."""
    now = Project(settings, spec).clock.now()
    requests = contract.request_source(spec.name).requests(now, now + timedelta(days=2)).head(ROWS)
    rows = requests[list(spec.request)].to_dict("records")
    return [json.dumps({"rows": [row]}, default=lambda instant: instant.isoformat()).encode() for row in rows]


def features(settings: Settings, spec: ProjectSpec, url: str, rows: list[bytes]) -> list[bytes]:
    """The same rows as ``mlflow models serve`` takes them: with the features that the stack used, out of its log."""
    ids: list[str] = []
    asyncio.run(
        load(url, rows, clients=1, seconds=5, answered=lambda body: ids.append(json.loads(body)[0]["prediction_id"]))
    )
    now = Project(settings, spec).clock.now()
    log = Project(settings, spec).log.read(now - timedelta(seconds=1), now).set_index("id").loc[ids[: len(rows)]]
    frame = log[list(spec.features.columns)]
    split = json.loads(frame.to_json(orient="split", index=False))
    return [
        json.dumps({"dataframe_split": {"columns": split["columns"], "data": [row]}}).encode() for row in split["data"]
    ]


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
    log = settings.logs / "mlflow-models-serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        wait(f"http://127.0.0.1:{port}/ping", process, log)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        stop(process)
