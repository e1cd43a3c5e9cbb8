"""Run the prediction service: ``python -m services.prediction``.

One process, where ``bentoml serve`` has two: its worker outlives a killed parent and keeps the port.
"""

from __future__ import annotations

import logging

import uvicorn

from services.prediction.front import Front
from services.prediction.projects import Projects
from services.prediction.service import is_ours
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("bentoml._internal.server.http_app").addFilter(is_ours)
    uvicorn.run(
        Front(Projects(settings())),
        host=settings().bind,
        port=settings().prediction_port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
