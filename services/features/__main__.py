"""Run Feast's feature server: ``python -m services.features``, as `feast serve` does."""

from services import on_demand
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    hidden = ("/docs", "/redoc")
    on_demand.serve("services.features.app", stack, "features", "/v1/vector_stores", hidden)


if __name__ == "__main__":
    main()
