"""Answers: a model in its served form, the log of what it answered, and those who ask and read."""
