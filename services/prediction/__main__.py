"""Run the prediction service: ``python -m services.prediction``.

One process, where ``bentoml serve`` has two: its worker outlives a killed parent and keeps the port.
"""

from __future__ import annotations

import logging

import uvicorn

from services.prediction.service import Predictions
from stack.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    uvicorn.run(
        Predictions.to_asgi(),
        host=settings().bind,
        port=settings().prediction_port,
        log_config=None,
        access_log=False,
        server_header=False,
    )


if __name__ == "__main__":
    main()
