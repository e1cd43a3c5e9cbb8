"""Feast's feature server."""

import stack.features  # noqa: F401  # before Feast
