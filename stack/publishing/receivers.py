"""What every kind of receiver does, and which class each kind of sink has."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any, Protocol, cast

from stack.core import secrets
from stack.core.settings import Settings
from stack.publishing.outbox import Message
from stack.specification.sinks import Sink
from stack.specification.specs import ProjectSpec

TIMEOUT_SECONDS = 10.0
"""How long a receiver may take to connect, or to acknowledge an answer."""


class Receiver(Protocol):
    """One end of a sink. It connects when it first delivers, and is closed and made anew after any failure."""

    def deliver(self, messages: Sequence[Message]) -> Iterator[int]:
        """Hand answers over in their order; yield how many more the receiver has acknowledged, each time some are.

        The first ones may have been delivered already, before this process or the last connection ended: they are
        recognised, and acknowledged without being delivered again. Without messages it keeps up a connection.
        """

    def close(self) -> None:
        """Disconnect."""


def connect(settings: Settings, spec: ProjectSpec, sink: Sink) -> Receiver:
    """Return the receiver of a sink, its secrets resolved. StackError: one is missing in ``.env``."""
    module = import_module(f"stack.publishing.{sink.kind}")  # when a project has such a sink: of some memory
    return cast(Receiver, module.Receiver(settings, spec, _resolved(sink, f"projects/{spec.name}/project.yaml")))


def _resolved(sink: Sink, where: str) -> Sink:
    def resolve(value: Any, key: str) -> Any:
        if isinstance(value, str):
            return secrets.resolve(value, f"{where}, key {key}")
        return (
            {name: resolve(inner, f"{key}.{name}") for name, inner in value.items()}
            if isinstance(value, dict)
            else value
        )

    values = {key: resolve(value, f"publish.{sink.name}.{key}") for key, value in sink.model_dump().items()}
    return sink.model_copy(update=values)
