"""What the guard and the check of tokens cost a prediction: two services of one stack, with and without, in turn.

The loads tell a few per cent apart on an idle machine alone. The bar is for the time of cores that guard and check take
by themselves, of that of a whole request.
"""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from time import process_time
from typing import NamedTuple

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench import serving
from bench.load import Load, load
from bench.servers import free_port
from bench.table import Row, ratio
from services.guard import Guard
from services.prediction.access import TokenCheck
from stack.core.settings import Settings
from stack.specification.specs import ProjectSpec

ROUNDS, SECONDS, CLIENTS = 15, 2.0, 8
CALLS = 5_000
MOST_SHARE, MOST_MIB = 0.03, 10.0
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
    return [_alone(settings, measured[WITH]), *_speed(measured), _memory(memory)]


def _alone(settings: Settings, rounds: list[Round]) -> Row:
    """Call guard and check in front of an application that does nothing."""
    start: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}

    async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
        await send(start)

    async def receive() -> Message:
        return {"type": "http.request"}

    async def sent(_: Message) -> None: ...

    def cost(app: ASGIApp) -> float:
        headers = [(b"host", f"127.0.0.1:{settings.prediction_port}".encode()), (b"content-length", b"200")]
        scope = {"type": "http", "method": "POST", "path": "/p/predict", "client": ("127.0.0.1", 1), "headers": headers}

        async def calls() -> None:
            for _ in range(CALLS):
                await app(scope, receive, sent)

        began = process_time()
        asyncio.run(calls())
        return 1000 * (process_time() - began) / CALLS

    guarded = Guard(TokenCheck(nothing, settings), settings)
    alone = median(cost(guarded) - cost(nothing) for _ in range(ROUNDS))
    whole = median(one.milliseconds for one in rounds)
    share = alone / (whole - alone)
    return Row(
        "core time of guard and check of tokens",
        f"{1000 * alone:.1f} us",
        f"{whole:.3f} ms a request",
        f"{share:.1%}",
        f"<= {MOST_SHARE:.0%}",
        share <= MOST_SHARE,
    )


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
            "0 failed",
            not failed,
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
