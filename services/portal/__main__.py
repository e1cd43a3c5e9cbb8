"""Run the portal: ``python -m services.portal``."""

from services import guard
from services.portal.app import build
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    guard.serve(build(stack), stack, "portal", own_metrics=True)


if __name__ == "__main__":
    main()
