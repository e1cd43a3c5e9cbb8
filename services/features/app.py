"""Feast's feature server in one process; `feast serve` needs two."""

import logging

from feast import FeatureStore
from feast.errors import FeastError
from feast.feature_server import get_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.on_demand import Loaded
from stack.core.settings import Settings
from stack.features import features

REGISTRY_SECONDS = 10
"""Maximum age of the definitions that it serves."""
OF_REQUESTS = (FeastError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError)
"""What Feast raises for a request that names what does not exist, or holds what cannot be read."""

logger = logging.getLogger("stack.features")


def load(settings: Settings) -> Loaded:
    """Return the application and its lifespan."""
    app = application(features.store(settings))
    return app, app.router.lifespan_context(app)


def application(store: FeatureStore) -> Starlette:
    """Return Feast's server; it answers a request that it cannot use with its reason and 400, not with 500."""
    app: Starlette = get_app(store, REGISTRY_SECONDS)
    for kind in OF_REQUESTS:
        app.add_exception_handler(kind, _refuse)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    status = error.http_status_code() if isinstance(error, FeastError) else 400
    logger.warning("%s refused: %s: %s", request.url.path, type(error).__name__, error)
    # The content of Feast's own handler, which its remote clients read.
    content = error.to_error_detail() if isinstance(error, FeastError) else str(error)
    return JSONResponse(content, status if status < 500 else 400)
