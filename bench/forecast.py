"""``python -m bench.forecast``: a forecast of 48 half-hours in one request, over HTTP."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from statistics import median

import httpx
import numpy as np
import pandas as pd

from bench import processes, projects
from bench.load import load
from bench.projects import Checkout
from bench.table import Row

NAME, STEPS, DAYS = "house", 48, 120
ROUNDS, SECONDS, RATE = 3, 5.0, 10.0
P99 = 50.0
"""Milliseconds."""


def compare(one: Checkout) -> list[Row]:
    """Make the project, train it, and ask for the whole horizon, one client after the other."""
    table = one.folder.parent / f"{NAME}.csv"
    _series().to_csv(table, index=False)
    words = ["--target", "power", "--time", "at", "--keys", "none", "--task", "forecast", "--steps", str(STEPS)]
    one.run("new", NAME, "--from", str(table), *words)
    one.run("run", NAME)
    url, body = f"{one.settings.prediction_url}/{NAME}/predict", json.dumps({"rows": [{}]}).encode()
    answer = httpx.post(url, content=body, timeout=30, trust_env=False).raise_for_status().json()
    assert len(answer[0]["forecast"]) == STEPS
    asyncio.run(load(url, [body], clients=1, seconds=1))
    before = processes.core_seconds(one.settings, "services.prediction")
    found = [asyncio.run(load(url, [body], clients=1, seconds=SECONDS, rate=RATE)) for _ in range(ROUNDS)]
    spent = processes.core_seconds(one.settings, "services.prediction") - before
    each_ms = 1000 * spent / sum(len(each.answers) for each in found)
    p50, p99 = (median(each.quantile(share) for each in found) for share in (0.5, 0.99))
    met = p99 <= P99 and not sum(each.failed for each in found)
    what = f"p99, forecast of {STEPS} steps, 1 client"
    return [
        Row(what, f"{p99:.1f} ms", f"{p50:.1f} ms p50", bar=f"<= {P99:.0f} ms", met=met),
        Row(f"core time of the service, forecast of {STEPS} steps", f"{each_ms:.1f} ms a request"),
    ]


def _series() -> pd.DataFrame:
    """Half-hours up to now, with a day and a week in them."""
    at = pd.date_range(end=datetime.now(UTC), periods=DAYS * STEPS, freq="30min").floor("30min")
    day, week = (np.sin(2 * np.pi * np.arange(len(at)) / steps) for steps in (STEPS, 7 * STEPS))
    noise = np.random.default_rng(5).normal(size=len(at))
    return pd.DataFrame({"at": at, "power": (10 + 4 * day + week + 0.5 * noise).round(3)})


if __name__ == "__main__":
    sys.exit(projects.alone(compare))
