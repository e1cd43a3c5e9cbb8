"""Run the prediction service: ``python -m services.prediction``.

One process, where ``bentoml serve`` has two: its worker outlives a killed parent and keeps the port.
"""

import logging
import warnings

from services import guard
from services.prediction import _compat
from services.prediction.access import TokenCheck
from services.prediction.app import PredictionApp
from services.prediction.projects import ProjectRegistry
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # Importing Feast has deprecations shown that Python hides, in the log of each request again.
    warnings.simplefilter("ignore", DeprecationWarning)
    _compat.drop_client_errors()
    app = TokenCheck(PredictionApp(ProjectRegistry(settings())), settings())
    guard.serve(app, settings(), "prediction", own_metrics=True, log_config=None)


if __name__ == "__main__":
    main()
