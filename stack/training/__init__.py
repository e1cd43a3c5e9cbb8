"""From labelled rows to a registered challenger: candidates, search, evaluation, and its record in MLflow."""
