"""Evidently's user interface."""

from evidently.ui.service.app import create_app, get_config

from services.on_demand import Loaded
from stack.core.settings import Settings


def load(settings: Settings) -> Loaded:
    """Return the application and its lifespan."""
    app = create_app(get_config(workspace=str(settings.reports)))
    return app, app.lifespan()
