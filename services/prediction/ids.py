"""UUIDs of version 7 (RFC 9562): ordered by time, so that the log's index grows at its end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID


def uuid7() -> UUID:
    """Return a UUID for now."""
    return UUID(next(uuids(datetime.now(UTC), 1)))


def uuids(at: datetime, count: int) -> Iterator[str]:
    """Yield UUIDs for an instant."""
    milliseconds = int(at.timestamp() * 1000).to_bytes(6, "big")
    random = os.urandom(10 * count)
    for start in range(0, 10 * count, 10):
        # The four bits of the version and the two of the variant.
        number = UUID(bytes=milliseconds + random[start : start + 10]).int
        number = number & ~(0xF << 76) & ~(0x3 << 62) | (0x7 << 76) | (0x2 << 62)
        yield str(UUID(int=number))
