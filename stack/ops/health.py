"""Whether services truly answer: the health checks of docker-compose.yml, asked in this process."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from stack.ops import probe
from stack.ops.compose_file import Service


def problem(service: Service) -> str | None:
    """Ask one service; return what is wrong, or None when it is healthy (or has no check)."""
    if service.health is None:
        return None
    question = vars(probe.parse(service.health.probe)) | {"timeout": service.health.timeout}
    return probe.ask(**question)


def problems(services: Iterable[Service]) -> dict[str, str | None]:
    """Ask several services at once; what is wrong with each, by name."""
    asked = list(services)
    with ThreadPoolExecutor(max_workers=max(1, len(asked))) as pool:
        return dict(zip((service.name for service in asked), pool.map(problem, asked), strict=True))
