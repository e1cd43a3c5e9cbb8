"""Who answers a request while a canary is tried out, and how the versions' requests went."""

from __future__ import annotations

import time
from collections import deque
from hashlib import blake2b
from typing import NamedTuple

from stack.promotion.rollout import Figures

WINDOW_SECONDS = 300.0
MOST = 5000
"""Requests of a version that are remembered."""


def place(version: str, prediction_id: str) -> float:
    """Where the canary's share has to reach for a request to be its own: a hash in [0, 1).

    Of the id of the request's first row, so that a request sent again is answered by the same version, and of the
    canary's version, so that the next canary answers others.
    """
    return int.from_bytes(blake2b(f"{version} {prediction_id}".encode(), digest_size=8).digest()) / 2**64


class Request(NamedTuple):
    """How one request went."""

    at: float
    """Monotonic seconds."""
    seconds: float
    failed: bool


class Requests:
    """The requests of a version in the last minutes. Written by the event loop, read by the thread that judges."""

    def __init__(self) -> None:
        self._seen: deque[Request] = deque(maxlen=MOST)

    def add(self, seconds: float, failed: bool = False) -> None:
        """Note one that has ended."""
        self._seen.append(Request(time.monotonic(), seconds, failed))

    def figures(self) -> Figures:
        """Sum up."""
        since = time.monotonic() - WINDOW_SECONDS
        lately = [one for one in self._seen.copy() if one.at >= since]
        answered = sorted(one.seconds for one in lately if not one.failed)
        p99 = 1000 * answered[min(len(answered) - 1, int(0.99 * len(answered)))] if answered else 0.0
        return Figures(len(lately), len(lately) - len(answered), p99)
