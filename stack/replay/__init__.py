"""Recorded time played forward."""
