"""A project from a table: look at the file, choose, and write ``projects/<name>/`` and ``feature_repo/<name>.py``."""
