"""The page of a replayed period."""
