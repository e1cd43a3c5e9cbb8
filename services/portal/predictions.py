"""Requests to the prediction service, from the portal itself."""

from typing import Any

import httpx

from services.portal.portal import Portal
from stack.core.errors import no_answer
from stack.ops.tools import inside

PATIENCE_SECONDS = 30.0


async def send(portal: Portal, project: str, verb: str, body: Any) -> httpx.Response:
    """Post a body to ``/<project>/<verb>``; return the response, whatever its status.

    Raises:
        UnavailableError: the service does not answer.
    """
    settings = portal.settings
    url = f"{inside(settings, 'prediction')}/{project}/{verb}"
    try:
        return await portal.client.post(url, json=body, headers=settings.prediction_headers, timeout=PATIENCE_SECONDS)
    except httpx.HTTPError as error:
        where, todo = f"prediction service, /{project}/{verb}", "look with `make status`, then send it again"
        raise no_answer(where, error, todo) from None


def problem(response: httpx.Response) -> dict[str, Any]:
    """Return why the service refuses a request: ``error``, ``todo`` and ``detail``, as far as it says."""
    try:
        body = response.json()
    except ValueError:
        body = None
    return body if isinstance(body, dict) else {"error": f"HTTP {response.status_code}: {response.text[:300]}"}
