"""The check of a token in a service: against a copy of the table in memory, which is seconds old at most."""

import asyncio
import hmac
import math
import time
from datetime import UTC, datetime, timedelta
from functools import partial

from stack.access import tokens
from stack.access.tokens import EVERY_PROJECT, Token

REFRESH_SECONDS = 2.0
"""After which a revoked token is refused."""
UNKNOWN_SECONDS = 0.2
"""After which the table is read for a token that is not in the copy: it may be new."""
RECORDED_EVERY = timedelta(minutes=1)
"""How exact the last use is that `make tokens` shows."""
OWN = Token("", "the stack's own requests", EVERY_PROJECT, ("admin",), datetime.min.replace(tzinfo=UTC), None)


class Verifier:
    """Finds the token with a text, and records its use.

    Args:
        url: of the state database.
        own: the text of the token of the stack's own requests; none when empty.
    """

    def __init__(self, url: str, own: str) -> None:
        self._url, self._own = url, own.encode()
        self._known: dict[str, Token] = {}
        self._read_at = -math.inf
        self._refreshing = asyncio.Lock()
        self._used: dict[str, datetime] = {}
        self._background: set[asyncio.Future[None]] = set()

    async def find(self, text: str) -> Token | None:
        """Return the token with this text; None where there is none, or none any more."""
        if self._own and hmac.compare_digest(text.encode(errors="surrogateescape"), self._own):
            return OWN
        digest = tokens.digest(text)
        await self._refresh(REFRESH_SECONDS if digest in self._known else UNKNOWN_SECONDS)
        token = self._known.get(digest)
        if token:
            self._note_use(token, datetime.now(UTC))
        return token

    async def _refresh(self, oldest: float) -> None:
        """Read the table, unless the copy is younger than `oldest` seconds; several callers wait for one read."""
        if self._age() < oldest:
            return
        async with self._refreshing:
            if self._age() >= oldest:
                began = time.monotonic()
                self._known = await asyncio.to_thread(tokens.by_hash, self._url)
                self._read_at = began

    def _age(self) -> float:
        return time.monotonic() - self._read_at

    def _note_use(self, token: Token, now: datetime) -> None:
        last = self._used.get(token.id) or token.used_at
        if last and now - last < RECORDED_EVERY:
            return
        self._used[token.id] = now
        write = partial(tokens.record_use, self._url, token.id, now)
        task = asyncio.get_running_loop().run_in_executor(None, write)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
