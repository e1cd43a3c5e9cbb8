"""``python -m bench``: start a stack of its own, measure it, print the figures, stop it.

The stack lives in a temporary home on free ports; a running one is not touched.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import (
    forecast,
    growth,
    guard,
    history,
    idle,
    join,
    pages,
    processes,
    projects,
    scoring,
    serving,
    shadow,
    swap,
)
from bench.servers import free_port
from bench.table import Row, print_rows, ratio
from stack.core import settings
from stack.core.settings import Settings
from stack.specification import specs

PROJECT = "flights"
UP_BAR = 10.0
"""Seconds from `stack up` of the stopped stack to all services healthy."""


def main() -> int:
    """Print a table of all that is measured; exit with 1 when a bar is missed."""
    began, spec = time.perf_counter(), specs.load(PROJECT)
    with TemporaryDirectory(prefix="bench-") as home, stack(Path(home)) as (running, rows):
        rows += step("idle", idle.measure, running)
        rows += step("serving", serving.compare, running, spec)
        rows += step("guard", guard.compare, running, spec)
        rows += step("swaps", lambda: swap.under_load(running, spec).rows())
    with projects.small() as one:
        rows += step("roll-out", shadow.compare, one)
        rows += step("forecast", forecast.compare, one)
        rows += step("projects", projects.compare, one)
    with projects.small() as one:
        rows += step("pages", pages.compare, one)
    rows += step("join", join.compare)
    rows += step("growth", growth.compare)
    rows += step("scoring", scoring.compare)
    print()
    met = print_rows(rows, history.last())
    history.append(rows)
    print(f"\n{(time.perf_counter() - began) / 60:.1f} min; load of the machine {os.getloadavg()[2]:.1f} by now")
    return 0 if met else 1


def step(name: str, measure: Callable[..., list[Row]], *given: Any) -> list[Row]:
    """Measure, and say how long it took."""
    began = time.perf_counter()
    rows = measure(*given)
    print(f"{name} measured in {time.perf_counter() - began:.0f} s", flush=True)
    return rows


@contextmanager
def stack(home: Path) -> Iterator[tuple[Settings, list[Row]]]:
    """Start a stack and run its first pipeline, measure how long that took, and stop it at the end."""
    ports = {f"STACK_{name}".upper(): str(free_port()) for name in Settings.model_fields if name.endswith("_port")}
    environ = os.environ | ports | {"STACK_HOME": str(home), "STACK_RUNTIME": "local"}
    command = [sys.executable, "-m", "stack"]
    try:
        running = settings.load(environ, env_file=Path(os.devnull))

        def up() -> tuple[float, float]:
            began = time.perf_counter()
            subprocess.run([*command, "up"], env=environ, check=True, stdout=subprocess.DEVNULL)
            return time.perf_counter() - began, processes.core_seconds(running)

        first, again = up(), up()
        subprocess.run([*command, "down"], env=environ, check=True, stdout=subprocess.DEVNULL)
        down_up = up()
        subprocess.run([*command, "status"], env=environ, check=True)
        with_pipeline = f"{first[0]:.1f} s with the first pipeline"
        yield (
            running,
            [
                Row("stack up again", f"{again[0]:.1f} s", with_pipeline, ratio(again[0], first[0])),
                Row(
                    "stack up after down",
                    f"{down_up[0]:.1f} s, {down_up[1]:.1f} core s of services",
                    with_pipeline,
                    ratio(down_up[0], first[0]),
                    f"<= {UP_BAR:.0f} s",
                    down_up[0] <= UP_BAR,
                ),
            ],
        )
    finally:
        subprocess.run([*command, "down"], env=environ, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
