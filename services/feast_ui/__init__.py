"""Feast's own user interface."""
