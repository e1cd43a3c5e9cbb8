"""Predictions and feedback at a steady rate, and the account of what was acknowledged."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event
from time import monotonic
from typing import Any
from uuid import UUID

import httpx

RATE = 20
"""Requests a second."""
FEEDBACK_SHARE = 0.25
PATIENCE_SECONDS = 90.0
"""So long a request with an id of its own is sent again, and a label is."""


@dataclass
class Journal:
    """What the service has acknowledged, and what it may have logged without an answer."""

    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    """Before the first request."""
    versions: dict[str, str] = field(default_factory=dict)
    """Prediction id -> version, of the answered predictions."""
    own_ids: list[str] = field(default_factory=list)
    """Ids that the client chose, whether answered or not."""
    retried: list[str] = field(default_factory=list)
    """Ids that were answered after they had been sent before."""
    labels: dict[str, int] = field(default_factory=dict)
    """Prediction id -> label, of the acknowledged feedback."""
    unanswered: int = 0
    """Requests without an id of their own that got no answer."""
    unknown: list[str] = field(default_factory=list)
    """Acknowledged ids that a feedback found not to be in the log."""
    statuses: Counter[str] = field(default_factory=Counter)
    """"predict 200" and the like -> answers; of no answer, the status is 0."""
    latencies: list[float] = field(default_factory=list)


class Traffic:
    """The clients of one project.

    Args:
        url: of the project at the prediction service.
        rows: request rows, each with its true `label`.
        seed: of the choice of rows and ids.
    """

    def __init__(self, url: str, rows: Sequence[dict[str, Any]], seed: int) -> None:
        self._url, self._rows, self._random = url, rows, random.Random(seed)
        self.journal = Journal()

    def run(self, stopped: Event) -> None:
        """Send until the event is set; return when all that was sent is answered or given up."""
        asyncio.run(self._run(stopped))

    async def _run(self, stopped: Event) -> None:
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=20)
        async with httpx.AsyncClient(timeout=30, limits=limits, trust_env=False) as self._http:
            tasks, due = set[asyncio.Task[None]](), monotonic()
            while not stopped.is_set():
                tasks.add(task := asyncio.create_task(self._predict(dict(self._random.choice(self._rows)))))
                task.add_done_callback(tasks.discard)
                due += 1 / RATE
                await asyncio.sleep(max(0.0, due - monotonic()))
            await asyncio.gather(*tasks)

    async def _predict(self, row: dict[str, Any]) -> None:
        """Send a row once, or under an id of its own until it is answered; some answers get their label."""
        label, journal, own = row.pop("label"), self.journal, self._random.random() < 0.5
        if own:
            row["prediction_id"] = str(UUID(int=self._random.getrandbits(128), version=4))
            journal.own_ids.append(row["prediction_id"])
        began, sent, answers = monotonic(), 0, None
        while answers is None and (own or not sent) and monotonic() - began < PATIENCE_SECONDS:
            if sent:
                await asyncio.sleep(1)
            answers, sent = await self._post("predict", {"rows": [row]}), sent + 1
        if answers is None:
            journal.unanswered += not own
            return
        journal.versions[answers[0]["prediction_id"]] = answers[0]["model_version"]
        if sent > 1:
            journal.retried.append(answers[0]["prediction_id"])
        if self._random.random() < FEEDBACK_SHARE:
            await self._label(answers[0]["prediction_id"], label)

    async def _label(self, prediction: str, label: int) -> None:
        body, began, answer = {"labels": [{"prediction_id": prediction, "label": label}]}, monotonic(), None
        while answer is None and monotonic() - began < PATIENCE_SECONDS:
            await asyncio.sleep(self._random.uniform(1, 3))
            answer = await self._post("feedback", body)
        if answer and answer["unknown"]:
            self.journal.unknown.append(prediction)
        elif answer:
            self.journal.labels[prediction] = label

    async def _post(self, verb: str, body: dict[str, Any]) -> Any:
        """Return the answer's body; None where there is none, or it is an error."""
        began = monotonic()
        try:
            answer = await self._http.post(f"{self._url}/{verb}", json=body)
        except httpx.TransportError:
            self.journal.statuses[f"{verb} 0"] += 1
            return None
        self.journal.statuses[f"{verb} {answer.status_code}"] += 1
        if not answer.is_success:
            return None
        self.journal.latencies.append(monotonic() - began)
        return answer.json()
