"""Create a project from a table: write ``projects/<name>/`` and ``feature_repo/<name>.py``."""
