"""What a running stack takes without requests: memory, and seconds of cores."""

import time

from bench import processes
from bench.table import Row
from stack.core.settings import Settings

SECONDS = 60.0
MEBIBYTES, PERCENT = 1000.0, 2.0
"""Bars: the sum of PSS, and the share of one core."""


def measure(settings: Settings) -> list[Row]:
    """Watch the stack while it is idle."""
    before = processes.core_seconds(settings)
    time.sleep(SECONDS)
    percent = 100 * (processes.core_seconds(settings) - before) / SECONDS
    mebibytes = processes.memory(settings)
    return [
        Row(
            "idle: PSS of all processes",
            f"{mebibytes:.0f} MiB",
            bar=f"<= {MEBIBYTES:.0f} MiB",
            met=mebibytes <= MEBIBYTES,
        ),
        Row("idle: share of a core", f"{percent:.1f} %", bar=f"<= {PERCENT:.0f} %", met=percent <= PERCENT),
    ]
