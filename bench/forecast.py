"""``python -m bench.forecast``: a year of hours tuned and backtested, and 48 half-hours in one request, over HTTP."""

import asyncio
import json
import sys
import time
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
YEAR, TUNED = 8760, 60.0
"""Hours, and the seconds in which a model of them is tuned and backtested."""


def compare(one: Checkout) -> list[Row]:
    """Tune a model of a year; make another project, train it, and ask for the whole horizon."""
    tuned = _tuned(one)
    _new(one, NAME, _series(DAYS * STEPS, "30min"))
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
        tuned,
        Row(what, f"{p99:.1f} ms", f"{p50:.1f} ms p50", bar=f"<= {P99:.0f} ms", met=met),
        Row(f"core time of the service, forecast of {STEPS} steps", f"{each_ms:.1f} ms a request"),
    ]


def _tuned(one: Checkout) -> Row:
    """Run the first pipeline on a year of hours, and say how long its training took: search, backtest and fit."""
    name = f"{NAME}_year"
    _new(one, name, _series(YEAR, "1h"))
    began = time.perf_counter()
    one.run("run", name)
    whole, found = time.perf_counter() - began, one.training_seconds(name)
    what, met = f"a series of {YEAR:,} hours tuned and backtested", found <= TUNED
    return Row(what, f"{found:.0f} s", f"{whole:.0f} s to live", bar=f"<= {TUNED:.0f} s", met=met)


def _new(one: Checkout, name: str, series: pd.DataFrame) -> None:
    """Make a project that forecasts `STEPS` steps of a series."""
    table = one.folder.parent / f"{name}.csv"
    series.to_csv(table, index=False)
    words = ["--target", "power", "--time", "at", "--keys", "none", "--task", "forecast", "--steps", str(STEPS)]
    one.run("new", name, "--from", str(table), *words)


def _series(rows: int, every: str) -> pd.DataFrame:
    """Values up to now, with a day and a week in them."""
    at = pd.date_range(end=datetime.now(UTC), periods=rows, freq=every).floor(every)
    a_day = pd.Timedelta("1D") // pd.Timedelta(every)
    day, week = (np.sin(2 * np.pi * np.arange(len(at)) / steps) for steps in (a_day, 7 * a_day))
    noise = np.random.default_rng(5).normal(size=len(at))
    return pd.DataFrame({"at": at, "power": (10 + 4 * day + week + 0.5 * noise).round(3)})


if __name__ == "__main__":
    sys.exit(projects.alone(compare))
