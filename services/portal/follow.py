"""Publish answers, keep messages, ingest pushed rows: beside the portal, as one process of it is sure to run."""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)
SYNC_SECONDS = 5.0


class Follower(Protocol):
    """Does what the files of the projects say, in threads of its own."""

    def sync(self) -> None:
        """Take up what has changed in the files."""

    def stop(self) -> None:
        """End all threads."""


async def forever(follower: Follower) -> None:
    """Follow the projects until cancelled."""
    try:
        while True:
            try:
                await asyncio.to_thread(follower.sync)
            except Exception:
                logger.exception("the projects were not looked at, the next attempt is in %s s", SYNC_SECONDS)
            await asyncio.sleep(SYNC_SECONDS)
    finally:
        follower.stop()
