"""The one loop that waits for something to happen."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(ask: Callable[[], T], seconds: float, *, pause: float = 0.5) -> T:
    """Ask again and again until the answer is true or the time is over; return the last answer.

    Args:
        ask: asked at least once.
        seconds: after so long, no further question.
        pause: seconds between two questions.
    """
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
