"""A second prediction service of a stack: ``python -m bench.prediction_server``, or ``... bare`` without its guard."""

import sys

import uvicorn

from services import guard
from services.prediction import _compat
from services.prediction.access import TokenCheck
from services.prediction.app import PredictionApp
from services.prediction.projects import ProjectRegistry
from stack.core.settings import settings


def main(bare: bool) -> None:
    """Listen on the host and port of the settings; bare, neither hosts and pages nor tokens are looked at."""
    _compat.drop_client_errors()
    app, options = PredictionApp(ProjectRegistry(settings())), {"log_config": None, "access_log": False}
    if bare:
        guard.Server(uvicorn.Config(app, host=settings().bind, port=settings().prediction_port, **options)).run()
    else:
        guard.serve(TokenCheck(app, settings()), settings(), "prediction", own_metrics=True, **options)


if __name__ == "__main__":
    main(bare=sys.argv[1:] == ["bare"])
