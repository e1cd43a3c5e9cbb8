"""An HTTP client of the prediction service: predicts many rows, and retries while the service restarts."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from pandas import DataFrame

from stack.core.errors import StackError
from stack.core.wait import wait_until
from stack.project import Project
from stack.specification import forecasts
from stack.specification.request import MAX_ROWS
from stack.specification.specs import ProjectSpec

RETRY_SECONDS = 600.0
"""A killed service is back within 20 s on an idle machine."""


def prediction_ids(spec: ProjectSpec, event_ids: Iterable[str]) -> list[str]:
    """Return the prediction id of each event: the same however often, and by whichever model, it is predicted."""
    namespace = uuid5(NAMESPACE_URL, f"stack/projects/{spec.name}/predictions")
    return [str(uuid5(namespace, event)) for event in event_ids]


def _step(spec: ProjectSpec, row: dict[str, Any]) -> dict[str, Any]:
    """Return the question about one step of a forecast as the service takes it."""
    of_row = {name: row.pop(name) for name in ("asked_at", *forecasts.keys(spec))}
    return of_row | {"steps": [row]}


class PredictionClient:
    """Predicts events of one project with the prediction service."""

    def __init__(self, project: Project) -> None:
        self.spec = project.spec
        self.version = ""
        """Model version of the last response."""
        self.retried = 0
        """Number of requests that were sent again."""
        stack = project.settings
        self._http = httpx.Client(
            base_url=stack.prediction_url, headers=stack.prediction_headers, timeout=60, trust_env=False
        )

    def predict(self, rows: DataFrame) -> int:
        """Predict each row as of its own instant; return the number of predictions, which are logged by then.

        Rows have ``prediction_id``, ``asked_at`` and the request fields.
        """
        rows = rows[["prediction_id", "asked_at", *self.spec.request]]
        for start in range(0, len(rows), MAX_ROWS):
            part = rows.iloc[start : start + MAX_ROWS]
            written = part.to_json(orient="records", date_format="iso", date_unit="us")
            if self.spec.forecast:
                written = json.dumps([_step(self.spec, row) for row in json.loads(written)])
            self._post(f'{{"rows": {written}}}')
        return len(rows)

    def champion(self) -> str | None:
        """Return the version that is served now."""
        response = self._http.get("/readyz")
        champion: str | None = response.raise_for_status().json()["projects"][self.spec.name]["champion"]
        return champion

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _post(self, body: str) -> None:
        """Send a request until it is answered; its prediction ids make sure that it is logged once.

        Raises:
            StackError: the service refuses it, or does not come back.
        """
        sent, problem = 0, ""

        def answered() -> bool:
            nonlocal sent, problem
            self.retried += sent > 0
            sent += 1
            try:
                response = self._http.post(f"/{self.spec.name}/predict", content=body)
            except httpx.TransportError as error:
                problem = str(error) or type(error).__name__
                return False
            problem = "" if response.is_success else f"HTTP {response.status_code}: {response.text[:500]}"
            if response.is_success:
                self.version = response.json()[-1]["model_version"]
            return response.is_success or response.is_client_error

        wait_until(answered, RETRY_SECONDS)
        if problem:
            raise StackError(
                f"prediction service, /{self.spec.name}/predict",
                found=problem,
                expected="an answer",
                todo="look with `make status` and `make logs SERVICE=prediction`, then run it again",
            )
