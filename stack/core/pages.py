"""Names of the pages in a project's report folder, shared by those who write and those who list them."""

REPLAY = "year.html"
"""The page of a replayed period."""
PROFILE = "profile.html"
"""The page about where the time of a replay went."""


def sweep(cutoff: str) -> str:
    """Return the name of a sweep's page; ``*`` gives the pattern that matches all of them."""
    return f"sweep-{cutoff}.html"


def card(version: str) -> str:
    """Return the name of the card of a version."""
    return f"card-{version}.html"
