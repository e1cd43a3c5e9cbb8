"""MLflow's REST API (https://mlflow.org/docs/latest/rest-api.html), where its Python client would be too heavy.

Importing that costs each process of the prediction service 4 s and 150 MB.
"""

import os
import ssl
from typing import Any

import httpx

from stack.core.settings import Settings

TIMEOUT_SECONDS = 30.0


def client(settings: Settings) -> httpx.Client:
    """Return a client of the REST API; it ignores the proxies of the environment.

    Through a gateway it uses the login and the certificate authority of MLflow's own client, by the same variables:
    https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/
    """
    url = f"{settings.mlflow_url}/api/2.0/"
    # A TLS context costs 27 ms of CPU, and services ask again and again.
    verify: ssl.SSLContext | bool = False
    if settings.mlflow_url.startswith("https:"):
        verify = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    login = (user, password) if user and password else None
    return httpx.Client(base_url=url, timeout=TIMEOUT_SECONDS, trust_env=False, verify=verify, auth=login)


def send(settings: Settings, method: str, path: str, **content: Any) -> httpx.Response:
    """Send one request, with the ``params`` or the ``json`` of httpx."""
    with client(settings) as http:
        return http.request(method, path, **content)


def checked(answer: httpx.Response) -> dict[str, Any]:
    """Return the parsed answer, or raise as :func:`refuse` does."""
    refuse(answer)
    parsed: dict[str, Any] = answer.json() if answer.content else {}
    return parsed


def refuse(answer: httpx.Response) -> None:
    """Raise an error with the server's message where it refuses the request."""
    if answer.is_error:
        raise httpx.HTTPStatusError(
            f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}",
            request=answer.request,
            response=answer,
        )
