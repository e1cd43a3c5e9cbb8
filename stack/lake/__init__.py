"""The lake: batches kept once, each a DVC version and a git commit."""
