"""Answers to slow questions, asked side by side and kept for seconds: a page never waits for a dead service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic
from typing import Any

Question = Callable[[], Awaitable[Any]]


class Pulse:
    """Remembers the last answer to each question.

    Args:
        keep: seconds for which an answer is fresh.
        stale: seconds after which an answer is not given any more: nobody may have asked for days.
        patience: seconds that a reader waits for fresh answers; what is late is there for the next reader.
        first: seconds that it waits where there is no answer to give meanwhile.
    """

    def __init__(self, keep: float = 3.0, stale: float = 30.0, patience: float = 0.15, first: float = 0.6) -> None:
        self.keep, self.stale, self.patience, self.first = keep, stale, patience, first
        self._answers: dict[str, tuple[float, Any]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def read(self, questions: Mapping[str, Question], patience: float | None = None) -> dict[str, Any]:
        """The last answer to each question, an exception where it failed, None where none came lately.

        Args:
            questions: by name.
            patience: seconds, when not as long as usual.
        """
        for name, question in questions.items():
            if name not in self._asking and self._age(name) > self.keep:
                self._asking[name] = asyncio.create_task(self._ask(name, question))
        waiting = [self._asking[name] for name in questions if name in self._asking]
        if patience is None:
            patience = self.first if any(self._age(name) > self.stale for name in questions) else self.patience
        if waiting:
            await asyncio.wait(waiting, timeout=patience)
        return {name: self._answers[name][1] if self._age(name) <= self.stale else None for name in questions}

    def _age(self, name: str) -> float:
        return monotonic() - self._answers[name][0] if name in self._answers else float("inf")

    async def _ask(self, name: str, question: Question) -> None:
        try:
            answer = await question()
        except Exception as error:  # noqa: BLE001  # whatever is wrong with a service is shown, never raised
            answer = error
        self._answers[name] = monotonic(), answer
        del self._asking[name]
