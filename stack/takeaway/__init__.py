"""Package a model to predict without the stack, and export its pipeline."""
