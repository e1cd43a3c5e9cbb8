"""Run Feast's own user interface: ``python -m services.feast_ui``, as `feast ui` does."""

from feast.ui_server import get_app

from services import guard
from stack.core.settings import settings
from stack.features import features


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    store = features.store(stack)
    guard.serve(get_app(store, store.project), stack, "feast_ui", hidden=("/docs", "/redoc"))


if __name__ == "__main__":
    main()
