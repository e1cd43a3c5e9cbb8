"""Create a project from a table: write ``projects/<name>/``, `project.yaml` and the data."""
