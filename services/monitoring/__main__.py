"""Run Evidently's user interface: ``python -m services.monitoring``, as `evidently ui` does."""

from evidently.ui.service.app import create_app, get_config

from services import guard
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    guard.serve(create_app(get_config(workspace=str(stack.reports))), stack, "monitoring", hidden=("/schema",))


if __name__ == "__main__":
    main()
