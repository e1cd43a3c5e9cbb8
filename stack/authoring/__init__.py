"""Making a project: written from a table, checked before anything runs, its keys documented."""
