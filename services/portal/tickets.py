"""Tickets for one download each: a link cannot carry the stack's key, which is sent in a header."""

import secrets
import time

SECONDS = 60.0
"""How long a ticket can be used."""


class Tickets:
    """What may be downloaded within a moment, by tickets."""

    def __init__(self) -> None:
        self._issued: dict[str, tuple[str, float]] = {}

    def issue(self, name: str) -> str:
        """Return a ticket for a file, and forget those that have expired."""
        now = time.monotonic()
        self._issued = {ticket: known for ticket, known in self._issued.items() if known[1] > now}
        ticket = secrets.token_urlsafe(24)
        self._issued[ticket] = name, now + SECONDS
        return ticket

    def redeem(self, ticket: str, name: str) -> bool:
        """Return whether a ticket is for a file; it is used up."""
        issued, until = self._issued.pop(ticket, ("", 0.0))
        return issued == name and time.monotonic() < until
