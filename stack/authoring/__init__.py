"""Create a project from a table, check it before anything runs, and document its keys."""
