"""Feast's own user interface."""

from feast.ui_server import get_app
from starlette.applications import Starlette

from services.on_demand import Loaded
from stack.core.settings import Settings
from stack.features import features


def load(settings: Settings) -> Loaded:
    """Return the application and its lifespan."""
    store = features.store(settings)
    app: Starlette = get_app(store, store.project)
    return app, app.router.lifespan_context(app)
