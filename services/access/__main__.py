"""Check logins and tokens for the gateway: ``python -m services.access``."""

import logging

from services import guard
from services.access.app import AccessApp
from stack.core.settings import settings


def main() -> None:
    """Listen on the host and port of the settings."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    guard.serve(AccessApp(settings()), settings(), "access", log_config=None, lifespan="off")


if __name__ == "__main__":
    main()
