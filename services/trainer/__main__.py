"""Train for the stack on another machine: ``python -m services.trainer``, a Prefect worker of the pool ``training``.

It reaches Prefect and MLflow through the gateway there, by a token that opens nothing else, and needs its URL and key
alone.
"""

import base64
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from tempfile import mkdtemp

from stack.core.settings import Settings, settings
from stack.ops import lan

POOL = "training"


def main() -> None:
    """Work; Prefect's client is imported once its environment is known."""
    stack = settings()
    if stack.join_url:
        os.environ.pop("PREFECT_API_AUTH_STRING", None)  # of a stack of this machine's own, which may have run before
        os.environ.update(environment(stack, Path(mkdtemp())))
    from services import flow_worker

    flow_worker.work(POOL, f"trainer on {socket.gethostname()}", with_healthcheck=True)


def environment(stack: Settings, folder: Path) -> Mapping[str, str]:
    """Return what Prefect's and MLflow's clients need to pass the gateway.

    Raises:
        StackError: the gateway does not answer, or has another authority than the key says.
    """
    trusted, _, token = stack.join_key.partition(".")
    certificate = folder / lan.AUTHORITY
    certificate.write_text(lan.authority(stack.join_url, trusted))
    login = base64.b64encode(f"{lan.TRAINER}:{token}".encode()).decode()
    return {
        # The gateway replaces it by the key of Prefect's API, for requests and websockets alike.
        "PREFECT_CLIENT_CUSTOM_HEADERS": json.dumps({"Authorization": f"Basic {login}"}),
        "PREFECT_API_SSL_CERT_FILE": str(certificate),
        "MLFLOW_TRACKING_USERNAME": lan.TRAINER,
        "MLFLOW_TRACKING_PASSWORD": token,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate),
    }


if __name__ == "__main__":
    main()
