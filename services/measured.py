"""Prometheus metrics of an HTTP service: requests, their time, and what the process takes, at ``/metrics``."""

from functools import partial
from time import perf_counter

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PATH = "/metrics"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Counter("http_requests", "Requests answered, by HTTP status", ["status"])
SECONDS = Histogram("http_request_seconds", "Time from request to the begin of its answer", buckets=BUCKETS)


class Measured:
    """ASGI middleware that counts the requests of an application.

    Args:
        app: the application.
        own_page: whether the application itself answers at ``/metrics``.
    """

    def __init__(self, app: ASGIApp, own_page: bool = False) -> None:
        self._app, self._own_page = app, own_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the metrics, or pass the request on and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == PATH and not self._own_page:
            await exposition()(scope, receive, send)
        else:
            await self._app(scope, receive, partial(_count, send, perf_counter()))


def exposition(more: bytes = b"") -> Response:
    """Return the metrics of this process, and further ones, as Prometheus reads them."""
    return Response(generate_latest() + more, media_type=CONTENT_TYPE_LATEST)


async def _count(send: Send, began: float, message: Message) -> None:
    if message["type"] == "http.response.start":
        REQUESTS.labels(message["status"]).inc()
        SECONDS.observe(perf_counter() - began)
    await send(message)
