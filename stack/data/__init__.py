"""The lake: batches that are checked, kept once, and versioned."""
