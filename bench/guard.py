"""What the guard and the check of tokens cost a prediction: two services of one stack, with and without, in turn."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

import psutil

from bench import serving
from bench.load import Load, load
from bench.servers import free_port
from bench.table import Row, ratio
from stack.core.settings import Settings
from stack.specification.specs import ProjectSpec

ROUNDS, SECONDS, CLIENTS = 9, 3.0, 8
LEAST_RATE, MOST_MIB = 0.97, 10.0
WITH, WITHOUT = "guarded", "bare"


def compare(settings: Settings, spec: ProjectSpec) -> list[Row]:
    """Load both in turn, round after round, each time the other one first, with the same flights."""
    bodies, measured = serving.asked(settings, spec), dict[str, list[Load]]({WITH: [], WITHOUT: []})
    with ExitStack() as running:
        ports = {way: running.enter_context(_service(settings, way)) for way in measured}
        urls = {way: f"http://127.0.0.1:{port}/{spec.name}/predict" for way, port in ports.items()}
        for url in urls.values():
            asyncio.run(load(url, bodies, clients=CLIENTS, seconds=SECONDS))
        for number in range(ROUNDS):
            for way in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                measured[way].append(asyncio.run(load(urls[way], bodies, clients=CLIENTS, seconds=SECONDS)))
        memory = {way: _memory(port) for way, port in ports.items()}
    pairs = [with_it.rate / bare.rate for with_it, bare in zip(measured[WITH], measured[WITHOUT], strict=True)]
    rates, failed = {way: median(one.rate for one in loads) for way, loads in measured.items()}, _failed(measured[WITH])
    p99 = {way: median(one.quantile(0.99) for one in loads) for way, loads in measured.items()}
    more = memory[WITH] - memory[WITHOUT]
    return [
        Row(
            f"requests a second with the guard, {CLIENTS} clients, median of {ROUNDS} pairs",
            f"{rates[WITH]:.0f}, {failed} failed",
            f"{rates[WITHOUT]:.0f} without",
            f"{median(pairs):.3f}",
            f">= {LEAST_RATE} x",
            median(pairs) >= LEAST_RATE and not failed,
        ),
        Row("p99 with the guard", f"{p99[WITH]:.1f} ms", f"{p99[WITHOUT]:.1f} ms", ratio(p99[WITH], p99[WITHOUT])),
        Row(
            "memory with the guard",
            f"{memory[WITH]:.1f} MiB",
            f"{memory[WITHOUT]:.1f} MiB",
            f"{more:+.1f} MiB",
            f"<= {MOST_MIB:.0f} MiB more",
            more <= MOST_MIB,
        ),
    ]


@contextmanager
def _service(settings: Settings, way: str) -> Iterator[int]:
    """Run a prediction service beside the stack's own; yields its port."""
    port = free_port()
    environ = os.environ | settings.environment() | {"STACK_PREDICTION_PORT": str(port)}
    command = [sys.executable, "-m", "bench.prediction_server", *([way] if way == WITHOUT else [])]
    with serving.running(command, environ, settings.logs / f"{way}.log", f"http://127.0.0.1:{port}/readyz"):
        yield port


def _memory(port: int) -> float:
    """Return the memory of the process that listens on a port, without what it shares; mebibytes."""
    (pid,) = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    return float(psutil.Process(pid).memory_full_info().uss) / 2**20


def _failed(loads: list[Load]) -> int:
    return sum(one.failed for one in loads)
