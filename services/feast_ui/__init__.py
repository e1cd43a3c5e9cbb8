"""Feast's own user interface."""

import stack.features  # noqa: F401  # before Feast
