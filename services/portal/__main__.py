"""Run the portal: ``python -m services.portal``."""

from services import guard
from services.portal.app import build
from stack.core.settings import settings

GRACE_SECONDS = 2
"""In which requests under way end when the portal stops."""


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    # Events to browsers have no end.
    guard.serve(build(stack), stack, "portal", own_metrics=True, timeout_graceful_shutdown=GRACE_SECONDS)


if __name__ == "__main__":
    main()
