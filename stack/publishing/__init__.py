"""Answers on their way to where they act: an outbox on disk, and a receiver for each kind of sink."""
