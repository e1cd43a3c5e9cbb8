"""Run Evidently's user interface: ``python -m services.monitoring``, as `evidently ui` does."""

from services import on_demand
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    on_demand.serve("services.monitoring.app", stack, "monitoring", "/api/projects", ("/schema",))


if __name__ == "__main__":
    main()
