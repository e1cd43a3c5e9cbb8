"""Model versions in MLflow: aliases, tags, and the files of a version."""
