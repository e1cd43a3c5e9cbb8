"""Route a share of the requests to the canary, and measure how each version's requests went."""

import os
import time
from collections import deque
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from stack.promotion.rollout import Figures

WINDOW_SECONDS = 300.0
MAX_REQUESTS = 5000
"""Requests of a version that are remembered."""


def uuid7(at: datetime) -> UUID:
    """Return a UUID of version 7 (RFC 9562): ordered by time, so that the log's index grows at its end."""
    number = int(at.timestamp() * 1000) << 80 | int.from_bytes(os.urandom(10))
    # The four bits of the version and the two of the variant.
    return UUID(int=number & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62)


def hash_fraction(version: str, prediction_id: str) -> float:
    """Return a hash in [0, 1); the canary answers the request when it is below the canary's share.

    Of the id of the request's first row, so that a request sent again is answered by the same version, and of the
    canary's version, so that the next canary answers others.
    """
    return int.from_bytes(blake2b(f"{version} {prediction_id}".encode(), digest_size=8).digest()) / 2**64


class RequestOutcome(NamedTuple):
    """When a request was answered, in monotonic seconds, how long it took, and whether it failed."""

    at: float
    seconds: float
    failed: bool


class RequestWindow:
    """The recent requests of a version. Written by the event loop, read by the thread that checks the rollout."""

    def __init__(self) -> None:
        self._outcomes: deque[RequestOutcome] = deque(maxlen=MAX_REQUESTS)

    def add(self, seconds: float, failed: bool = False) -> None:
        """Record a completed request."""
        self._outcomes.append(RequestOutcome(time.monotonic(), seconds, failed))

    def summary(self) -> Figures:
        """Return the number of requests and errors, and the 99th percentile of the latency in milliseconds."""
        since = time.monotonic() - WINDOW_SECONDS
        recent = [outcome for outcome in self._outcomes.copy() if outcome.at >= since]
        latencies = sorted(outcome.seconds for outcome in recent if not outcome.failed)
        p99 = 1000 * latencies[min(len(latencies) - 1, int(0.99 * len(latencies)))] if latencies else 0.0
        return Figures(len(recent), len(recent) - len(latencies), p99)
