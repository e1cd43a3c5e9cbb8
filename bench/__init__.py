"""Measurements of a real stack: ``make bench``."""
