"""What the guard and the check of tokens cost a prediction: two services of one stack, with and without, in turn.

The rate depends on what else the machine does; the time of cores that a request takes hardly does, and has the bar.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import psutil

from bench import serving
from bench.load import Load, load
from bench.servers import free_port
from bench.table import Row, ratio
from stack.core.settings import Settings
from stack.specification.specs import ProjectSpec

ROUNDS, SECONDS, CLIENTS = 15, 2.0, 8
MOST_TIME, MOST_MIB = 1.03, 10.0
WITH, WITHOUT = "guarded", "bare"


class Round(NamedTuple):
    """A load, and the time of cores that each of its requests took."""

    load: Load
    milliseconds: float


@dataclass(frozen=True)
class Service:
    """A running prediction service."""

    url: str
    process: psutil.Process

    def load(self, bodies: list[bytes]) -> Round:
        """Ask for some seconds."""
        before = sum(self.process.cpu_times()[:2])
        found = asyncio.run(load(self.url, bodies, clients=CLIENTS, seconds=SECONDS))
        return Round(found, 1000 * (sum(self.process.cpu_times()[:2]) - before) / len(found.answers))

    def memory(self) -> float:
        """Return what it does not share with others, in mebibytes."""
        return float(self.process.memory_full_info().uss) / 2**20


def compare(settings: Settings, spec: ProjectSpec) -> list[Row]:
    """Load both in turn, round after round, each time the other one first, with the same flights."""
    bodies = serving.asked(settings, spec)
    measured: dict[str, list[Round]] = {WITH: [], WITHOUT: []}
    with ExitStack() as running:
        services = {way: running.enter_context(_service(settings, spec, way)) for way in measured}
        for service in services.values():
            service.load(bodies)
        for number in range(ROUNDS):
            for way in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                measured[way].append(services[way].load(bodies))
        memory = {way: service.memory() for way, service in services.items()}
    return [*_speed(measured), _memory(memory)]


def _speed(measured: Mapping[str, list[Round]]) -> list[Row]:
    times = {way: median(one.milliseconds for one in rounds) for way, rounds in measured.items()}
    rate = {way: median(one.load.rate for one in rounds) for way, rounds in measured.items()}
    p99 = {way: median(one.load.quantile(0.99) for one in rounds) for way, rounds in measured.items()}
    failed = sum(one.load.failed for one in measured[WITH])
    cost = times[WITH] / times[WITHOUT]
    return [
        Row(
            f"core ms a request with the guard, {CLIENTS} clients, median of {ROUNDS} rounds",
            f"{times[WITH]:.3f} ms, {failed} failed",
            f"{times[WITHOUT]:.3f} ms without",
            f"{cost:.3f}",
            f"<= {MOST_TIME} x",
            cost <= MOST_TIME and not failed,
        ),
        Row(
            "requests a second with the guard",
            f"{rate[WITH]:.0f}",
            f"{rate[WITHOUT]:.0f} without",
            ratio(rate[WITH], rate[WITHOUT]),
        ),
        Row("p99 with the guard", f"{p99[WITH]:.1f} ms", f"{p99[WITHOUT]:.1f} ms", ratio(p99[WITH], p99[WITHOUT])),
    ]


def _memory(memory: Mapping[str, float]) -> Row:
    more = memory[WITH] - memory[WITHOUT]
    return Row(
        "memory with the guard",
        f"{memory[WITH]:.1f} MiB",
        f"{memory[WITHOUT]:.1f} MiB",
        f"{more:+.1f} MiB",
        f"<= {MOST_MIB:.0f} MiB more",
        more <= MOST_MIB,
    )


@contextmanager
def _service(settings: Settings, spec: ProjectSpec, way: str) -> Iterator[Service]:
    """Run a prediction service beside the stack's own."""
    port = free_port()
    environ = os.environ | settings.environment() | {"STACK_PREDICTION_PORT": str(port)}
    command = [sys.executable, "-m", "bench.prediction_server", *([way] if way == WITHOUT else [])]
    log, ready = settings.logs / f"{way}.log", f"http://127.0.0.1:{port}/readyz"
    with serving.running(command, environ, log, ready) as process:
        yield Service(f"http://127.0.0.1:{port}/{spec.name}/predict", psutil.Process(process.pid))
