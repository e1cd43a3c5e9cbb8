"""A caller of the prediction service: asks about many rows over HTTP, and asks again while the service comes back."""

from __future__ import annotations

import time
from collections.abc import Iterable
from uuid import NAMESPACE_URL, uuid5

import httpx
from pandas import DataFrame

from stack.core.errors import StackError
from stack.project import Project
from stack.specification.specs import ProjectSpec

MAX_ROWS = 1000
"""Rows that the service takes in a request."""
PATIENCE_SECONDS = 120.0
"""A killed service is back within 20 s on an idle machine."""


def prediction_ids(spec: ProjectSpec, event_ids: Iterable[str]) -> list[str]:
    """Id of the prediction about each event: the same however often, and by whichever model, it is asked."""
    namespace = uuid5(NAMESPACE_URL, f"stack/projects/{spec.name}/predictions")
    return [str(uuid5(namespace, event)) for event in event_ids]


class Caller:
    """Asks the prediction service of one stack about one project's events."""

    def __init__(self, project: Project) -> None:
        self.spec = project.spec
        self.version = ""
        """The model that answered last."""
        self.retried = 0
        """Requests that were sent again."""
        self._http = httpx.Client(base_url=project.settings.prediction_url, timeout=60, trust_env=False)

    def ask(self, rows: DataFrame) -> int:
        """Ask about each row as of its own instant; returns the number of answers, which are in the log by then.

        Args:
            rows: ``prediction_id``, ``asked_at`` and the request fields.
        """
        asked = rows[["prediction_id", "asked_at", *self.spec.request]]
        for start in range(0, len(asked), MAX_ROWS):
            part = asked.iloc[start : start + MAX_ROWS]
            self._post(f'{{"rows": {part.to_json(orient="records", date_format="iso", date_unit="us")}}}')
        return len(asked)

    def champion(self) -> str | None:
        """The version that answers now."""
        answer = self._http.get("/readyz")
        champion: str | None = answer.raise_for_status().json()["projects"][self.spec.name]["champion"]
        return champion

    def _post(self, body: str) -> None:
        """Send a request until it is answered; the ids in it make sure that it is logged once.

        Raises:
            StackError: the service refuses it, or does not come back.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self._http.post(f"/{self.spec.name}/predict", content=body)
                if answer.is_success:
                    self.version = answer.json()[-1]["model_version"]
                    return
                found = f"HTTP {answer.status_code}: {answer.text[:500]}"
            except httpx.TransportError as error:
                answer, found = None, str(error) or type(error).__name__
            if (answer is not None and answer.is_client_error) or time.monotonic() > deadline:
                raise StackError(
                    f"prediction service, /{self.spec.name}/predict",
                    found=found,
                    expected="an answer",
                    todo="look with `make status` and `make logs SERVICE=prediction`, then run it again",
                )
            self.retried += 1
            time.sleep(0.5)
