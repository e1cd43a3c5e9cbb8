"""Feast's feature server."""
