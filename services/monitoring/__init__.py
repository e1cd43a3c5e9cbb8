"""Evidently's user interface."""
