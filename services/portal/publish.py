"""Deliver the answers that projects publish: beside the portal, as one process of it is sure to run."""

import asyncio
import logging

from stack.core.settings import Settings
from stack.publishing.publisher import Publisher

logger = logging.getLogger(__name__)
SYNC_SECONDS = 5.0


async def forever(settings: Settings) -> None:
    """Follow the sinks of all projects until cancelled."""
    publisher = Publisher(settings)
    try:
        while True:
            try:
                await asyncio.to_thread(publisher.sync)
            except Exception:
                logger.exception("the sinks were not looked at, the next attempt is in %s s", SYNC_SECONDS)
            await asyncio.sleep(SYNC_SECONDS)
    finally:
        publisher.stop()
