"""What a shadow, and a canary, cost the requests: the same load with and without them, in turn."""

import asyncio
import json
from statistics import median

from bench.load import Load, load
from bench.projects import FIRST, Checkout, eventually
from bench.table import Row, ratio

ROUNDS, SECONDS, CLIENTS = 3, 3.0, 4
WAYS = {"alone": "", "shadow": "\nrollout: {shadow: true}\n", "canary": "\nrollout: {canary: 0.2}\n"}


def compare(one: Checkout) -> list[Row]:
    """Load the first project in each way, round after round, by editing its project.yaml under a running service."""
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
    return [row for way in WAYS if way != "alone" for row in _rows(way, measured[way], measured["alone"])]


def _rows(way: str, found: list[Load], alone: list[Load]) -> list[Row]:
    rate, alone_rate = (median(load.rate for load in rounds) for rounds in (found, alone))
    p99, alone_p99 = (median(load.quantile(0.99) for load in rounds) for rounds in (found, alone))
    failed = sum(load.failed for load in found)
    return [
        Row(
            f"requests a second with a {way}, {CLIENTS} clients",
            f"{rate:.0f}, {failed} failed",
            f"{alone_rate:.0f} alone",
            ratio(rate, alone_rate),
            "0 failed",
            not failed,
        ),
        Row(f"p99 with a {way}", f"{p99:.1f} ms", f"{alone_p99:.1f} ms alone", ratio(p99, alone_p99)),
    ]
