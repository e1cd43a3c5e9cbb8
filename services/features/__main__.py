"""Run Feast's feature server in one process: ``python -m services.features``, as `feast serve` does with two."""

from __future__ import annotations

from feast.feature_server import get_app

from services import guard
from stack.core.settings import settings
from stack.features import features

REGISTRY_SECONDS = 10
"""Maximum age of the definitions that it serves."""


def main() -> None:
    """Listen on the host and port of the settings."""
    stack = settings()
    guard.serve(get_app(features.store(stack), REGISTRY_SECONDS), stack, "features")


if __name__ == "__main__":
    main()
