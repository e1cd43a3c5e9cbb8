"""Ask until the answer is the expected one: for what another process does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

import httpx

INTERVAL_SECONDS = 0.1
PATIENCE_SECONDS = 600.0
"""What takes longer hangs, on a busy machine too."""
Answer = TypeVar("Answer")


def eventually(
    ask: Callable[[], Answer], seconds: float = PATIENCE_SECONDS, *, alive: Callable[[], bool] = lambda: True
) -> Answer:
    """Return the first answer that is truthy; an HTTP error is no answer.

    Args:
        ask: the question.
        seconds: to wait for the answer.
        alive: whether it is still worth asking, as the process that is asked runs.

    Raises:
        AssertionError: no such answer within the time.
    """
    deadline, last = time.monotonic() + seconds, None
    while time.monotonic() < deadline and alive():
        try:
            if answer := ask():
                return answer
            last = answer
        except httpx.HTTPError as error:
            last = error
        time.sleep(INTERVAL_SECONDS)
    raise AssertionError(f"not within {seconds} s; the last answer was {last!r}")
