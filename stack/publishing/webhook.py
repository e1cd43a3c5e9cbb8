"""Post each answer to a URL: one request an answer, as the key of a list would differ after a failure."""

from collections.abc import Iterator, Sequence

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.publishing.outbox import Message
from stack.publishing.receivers import TIMEOUT_SECONDS
from stack.specification.sinks import Webhook
from stack.specification.specs import ProjectSpec


class Receiver:
    """The server of a URL; the header ``Idempotency-Key`` is how it recognises an answer that comes again."""

    def __init__(self, settings: Settings, spec: ProjectSpec, sink: Webhook) -> None:
        self.sink = sink
        self._client = httpx.Client(headers=sink.headers, timeout=TIMEOUT_SECONDS)

    def deliver(self, messages: Sequence[Message]) -> Iterator[int]:
        """Post answers one after the other. StackError: the answer is not 2xx."""
        for message in messages:
            key = {"Idempotency-Key": message["prediction_id"]}
            response = self._client.post(self.sink.url, json=message, headers=key)
            if not response.is_success:
                found = f"HTTP {response.status_code}: {response.text[:200]}"
                todo = "fix the receiver, or the key publish in project.yaml; the next attempt is automatic"
                raise StackError(f"webhook {self.sink.name}", found=found, expected="2xx", todo=todo)
            yield 1

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
