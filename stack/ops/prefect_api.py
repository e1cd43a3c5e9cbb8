"""Prefect's REST API; Prefect's own client takes seconds to import.

Source: https://docs.prefect.io/v3/api-ref/rest-api.
"""

import time
from collections.abc import Mapping
from typing import Any

import httpx

from stack.core.errors import StackError, no_answer
from stack.core.settings import Settings

TIMEOUT_SECONDS, BUSY_SECONDS = 30.0, 300.0
"""Prefect answers late, or with 503, where the machine or its database is busy, as just after the start."""
PAUSE_SECONDS, CLOSED_SECONDS = 1.0, 0.2
"""Between two questions to a server that is busy, and to a port where none listens yet."""


class PrefectApi:
    """The API of one stack's Prefect server.

    Args:
        settings: the stack.
        patience: seconds for which a server that is restarting or overloaded is asked again.
    """

    def __init__(self, settings: Settings, patience: float = 0.0) -> None:
        self._settings, self._patience = settings, patience
        self._http = httpx.Client(
            base_url=f"{settings.prefect_url}/api/",
            headers=settings.prefect_headers,
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server hangs up after an error
            trust_env=False,
        )

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API; None when there is no such thing. No answer, or a refusal, is a StackError."""
        try:
            answer = self._answer(method, path, body)
        except httpx.HTTPError as error:
            where = f"Prefect at {self._settings.prefect_url}"
            raise no_answer(where, error, "run `make up`, or look with `make status`") from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise StackError(
                f"Prefect, {path}",
                found=f"HTTP {answer.status_code}: {answer.text[:500]}",
                expected="parameters that the flow takes",
                todo="compare with the flow in flows/",
            )
        return answer.json() if answer.content else None

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Ask until the patience is over; a server that is busy is always asked again."""
        began = time.monotonic()
        while True:
            patience, pause = self._patience, PAUSE_SECONDS
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError as error:
                if isinstance(error, httpx.ReadTimeout):
                    patience = max(patience, BUSY_SECONDS)
                pause = CLOSED_SECONDS if isinstance(error, httpx.ConnectError) else PAUSE_SECONDS
                if time.monotonic() - began > patience:
                    raise
            else:
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    patience = max(patience, BUSY_SECONDS)
                if not answer.is_server_error or time.monotonic() - began > patience:
                    return answer
            time.sleep(pause)
