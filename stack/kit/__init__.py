"""What a project's own modules may import from the stack: these modules, and of each the names in its ``__all__``.

A module is imported when it is asked for: some cost a second that a project which needs no other would pay.
"""

__all__ = [
    "drift",
    "expectations",
    "instants",
    "models",
    "numbers",
    "packaged",
    "parquet",
    "rolling",
    "rowwise",
    "text",
]
