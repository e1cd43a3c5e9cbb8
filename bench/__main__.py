"""``python -m bench``: start a stack of its own, measure it, print the figures, stop it.

The stack lives in a temporary home on free ports; a running one is not touched.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench import projects, serving, shadow, swap
from bench.servers import free_port
from stack import project, settings
from stack.settings import Settings

PROJECT = "flights"


def main() -> int:
    """Print start-up, serving, swap, roll-out and project figures; the exit code is 1 when one misses its bar."""
    spec = project.load(PROJECT)
    with TemporaryDirectory(prefix="bench-") as home, stack(Path(home)) as running:
        speeds = serving.compare(running, spec)
        met = print_speeds(speeds)
        swaps = swap.under_load(running, spec)
        print(
            f"swap     alias moved {swaps.moves} times under {swap.CLIENTS} clients: {swaps.requests:,} requests, "
            f"{swaps.failed} failed (bar 0), versions {', '.join(swaps.versions)}, p99 {swaps.p99:.1f} ms"
        )
    with projects.small() as one:
        for line in shadow.compare(one):
            print(f"rollout  {line}", flush=True)
        cost = projects.measure(one)
    print(
        f"projects one more costs the prediction service {cost.mebibytes:.1f} MiB (bar {projects.MEMORY_BAR:.0f}) and "
        f"`stack up` {cost.seconds:.1f} s (bar {projects.UP_BAR:.0f})"
    )
    return 0 if met and cost.met and not swaps.failed else 1


@contextmanager
def stack(home: Path) -> Iterator[Settings]:
    """Start a stack and run its first pipeline, print how long that took, and stop it at the end."""
    ports = {f"STACK_{name}".upper(): str(free_port()) for name in Settings.model_fields if name.endswith("_port")}
    environ = os.environ | ports | {"STACK_HOME": str(home), "STACK_RUNTIME": "local"}
    command = [sys.executable, "-m", "stack"]
    try:
        for when in ("first", "second"):
            began = time.perf_counter()
            subprocess.run([*command, "up"], env=environ, check=True, stdout=subprocess.DEVNULL)
            print(f"startup  {when} `stack up`: {time.perf_counter() - began:.1f} s", flush=True)
        subprocess.run([*command, "status"], env=environ, check=True)
        yield settings.load(environ, env_file=Path(os.devnull))
    finally:
        subprocess.run([*command, "down"], env=environ, check=False, stdout=subprocess.DEVNULL)


def print_speeds(speeds: dict[tuple[str, int], serving.Speed]) -> bool:
    """Print a line for each server and number of clients; say whether the ratio at 8 clients meets the bar."""
    print(f"serving  one row a request, median of {serving.ROUNDS} rounds of {serving.SECONDS:.0f} s")
    print(f"         {'':20} {'clients':>7} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'failed':>7}")
    for (name, clients), speed in speeds.items():
        print(
            f"         {name:20} {clients:7} {speed.rate:8.0f} {speed.p50:8.1f} {speed.p99:8.1f} {speed.failed:7}",
            flush=True,
        )
    ratio = speeds["stack", 8].rate / speeds["mlflow models serve", 8].rate
    print(f"         at 8 clients {ratio:.1f} times the requests a second (bar {serving.BAR:.0f})", flush=True)
    return ratio >= serving.BAR and not speeds["stack", 8].failed


if __name__ == "__main__":
    sys.exit(main())
