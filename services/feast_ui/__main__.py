"""Run Feast's own user interface: ``python -m services.feast_ui``, as `feast ui` does."""

from services import on_demand
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    on_demand.serve("services.feast_ui.app", stack, "feast_ui", "/projects-list.json", ("/docs", "/redoc"))


if __name__ == "__main__":
    main()
