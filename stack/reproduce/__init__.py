"""A registered model rebuilt from its run, and the pipeline in steps between files."""
