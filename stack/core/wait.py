"""The loop that waits until a condition holds."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(ask: Callable[[], T], seconds: float, *, pause: float = 0.5) -> T:
    """Call `ask`, at least once, until its answer is true or the seconds are over; return the last answer."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < deadline:
        time.sleep(pause)
    return answer
