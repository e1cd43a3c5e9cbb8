"""Make a project of a model that another tool has trained, or a version of one; see docs/models-from-elsewhere.md."""
