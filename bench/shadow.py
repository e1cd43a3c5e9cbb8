"""What a shadow, and a canary, cost the requests: the same load with and without them, in turn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from statistics import median

from bench.load import Load, load
from bench.projects import FIRST, Checkout, eventually

ROUNDS, SECONDS, CLIENTS = 3, 4.0, 4
WAYS = {"alone": "", "shadow": "\nrollout: {shadow: true}\n", "canary": "\nrollout: {canary: 0.2}\n"}


def compare(one: Checkout) -> Iterator[str]:
    """Load the first project in each way, round after round, by editing its project.yaml under a running service.

    Yields:
        A line for each way.
    """
    second = one.register(FIRST, FIRST)
    one.point(FIRST, "challenger", second)
    one.point(FIRST, "canary", second)
    path = one.folder / "projects" / FIRST / "project.yaml"
    plain, measured = path.read_text(), dict[str, list[Load]]()
    body = json.dumps({"rows": [{f"x{number}": 0.5 for number in range(6)}]}).encode()
    url = f"{one.settings.prediction_url}/{FIRST}/predict"
    for _ in range(ROUNDS):
        for way, lines in WAYS.items():
            path.write_text(plain + lines)
            eventually(lambda way=way: one.rollout(FIRST) == way)  # type: ignore[misc]
            asyncio.run(load(url, [body], clients=CLIENTS, seconds=0.5))
            measured.setdefault(way, []).append(asyncio.run(load(url, [body], clients=CLIENTS, seconds=SECONDS)))
    path.write_text(plain)
    for way, rounds in measured.items():
        p50, p99 = (median(found.quantile(share) for found in rounds) for share in (0.5, 0.99))
        rate, failed = median(found.rate for found in rounds), sum(found.failed for found in rounds)
        yield f"{way:7} {CLIENTS} clients: {rate:6.0f} req/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {failed} failed"
