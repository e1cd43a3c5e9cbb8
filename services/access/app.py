"""Answer the gateway whether a request may pass: ``GET /people`` and ``GET /training``, with the caller's credentials.

Caddy asks by ``forward_auth``, which passes on any answer but 2xx. A check is a comparison of SHA-256 hashes, and a
wrong guess is answered late, so that guessing takes nothing from the services.
"""

import asyncio
import logging
import time
from base64 import b64decode
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from stack.access import passwords
from stack.access.tokens import EVERY_PROJECT, Token, digest
from stack.access.verifier import Verifier
from stack.core.settings import Settings

PEOPLE, TRAINING, HEALTH = "/people", "/training", "/health"
USER = "stack"
"""The user name of the people's login; with any other one, the password is a token."""
CALLER = "X-Stack-User"
"""Header that tells the portal who was let in."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="stack", charset="UTF-8"'}
FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.25, 8.0
FORGOTTEN_SECONDS = 600.0
MAX_WAITING = 200
"""Wrong logins that wait for their answers; more are refused at once."""
MAX_ADDRESSES = 10_000
MAX_SLOW_CHECKS = 4

logger = logging.getLogger("stack.access")


@dataclass(frozen=True)
class Credentials:
    """A user name, empty with a bearer token, and a secret."""

    user: str
    secret: str


class AccessApp:
    """Checks the credentials of requests at the gateway."""

    def __init__(self, settings: Settings) -> None:
        self._password_hash = settings.lan_password_hash
        self._verifier = Verifier(settings.state_database, settings.access_key)
        self._delays = Delays()
        self._waiting = 0
        self._slow_checks, self._one_at_a_time = 0, asyncio.Semaphore(1)
        self._right_password = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 200, or what the caller gets: 401, 403 or 429."""
        if scope["type"] == "http":
            await (await self._answer(scope["path"], Headers(scope=scope)))(scope, receive, send)

    async def _answer(self, path: str, headers: Headers) -> Response:
        if path == HEALTH:
            return PlainTextResponse("ok")
        if path not in (PEOPLE, TRAINING):
            return PlainTextResponse("no such check", 404)
        if (given := credentials(headers.get("authorization", ""))) is None:
            return PlainTextResponse("a login is needed", 401, CHALLENGE)
        address = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        name = USER
        if given.user == USER:
            answer = await self._people(given.secret, address)
        elif token := await self._verifier.find(given.secret):
            answer, name = _scoped(token, path), f"token {token.name or token.id}"
        else:
            answer = await self._refused(address)
        if answer.status_code == HTTPStatus.OK:
            self._delays.forget(address)
            answer.headers[CALLER] = quote(name, safe=" ")  # a name may have letters that no header can
        return answer

    async def _people(self, password: str, address: str) -> Response:
        if passwords.is_slow(self._password_hash) and digest(password) != self._right_password:
            return await self._checked_slowly(password, address)
        if passwords.is_slow(self._password_hash) or passwords.matches(password, self._password_hash):
            return PlainTextResponse("ok")
        return await self._refused(address)

    async def _checked_slowly(self, password: str, address: str) -> Response:
        """Check against a hash of bcrypt, one at a time, and pause after a wrong one."""
        if self._slow_checks >= MAX_SLOW_CHECKS:
            return _too_many()
        self._slow_checks += 1
        try:
            async with self._one_at_a_time:
                if await asyncio.to_thread(passwords.matches, password, self._password_hash):
                    self._right_password = digest(password)
                    return PlainTextResponse("ok")
                return await self._refused(address)
        finally:
            self._slow_checks -= 1

    async def _refused(self, address: str) -> Response:
        """Answer 401, the later the more wrong ones came from this address."""
        delay = self._delays.after_another(address)
        logger.warning("wrong login from %s", address or "nowhere")
        if self._waiting >= MAX_WAITING:
            return _too_many()
        self._waiting += 1
        try:
            await asyncio.sleep(delay)
        finally:
            self._waiting -= 1
        return PlainTextResponse("wrong login, or a token that is not known (any more)", 401, CHALLENGE)


class Delays:
    """Seconds that a wrong login waits for its answer, by the address that it comes from."""

    def __init__(self) -> None:
        self._wrong: dict[str, tuple[int, float]] = {}

    def after_another(self, address: str) -> float:
        """Count another wrong login of an address; return its delay."""
        now = time.monotonic()
        count, last = self._wrong.pop(address, (0, now))
        count = 1 if now - last > FORGOTTEN_SECONDS else count + 1
        self._wrong[address] = (count, now)
        if len(self._wrong) > MAX_ADDRESSES:
            del self._wrong[next(iter(self._wrong))]  # the one that was wrong least recently
        return float(min(FIRST_DELAY_SECONDS * 2 ** min(count - 1, 10), LONGEST_DELAY_SECONDS))

    def forget(self, address: str) -> None:
        """Begin anew for an address, from which a right login has come."""
        self._wrong.pop(address, None)


def credentials(header: str) -> Credentials | None:
    """Read an Authorization header; None where there is none, or one of another form."""
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return Credentials("", value.strip())
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, secret = b64decode(value.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return Credentials(user, secret) if colon else None


def _scoped(token: Token, path: str) -> Response:
    """Answer a known token, which may be for something else."""
    if token.allows("admin", EVERY_PROJECT) or (path == TRAINING and "train" in token.purposes):
        return PlainTextResponse("ok")
    return PlainTextResponse(f"this token is for {token.scope}, and not for this address", 403)


def _too_many() -> Response:
    return PlainTextResponse("too many wrong logins at once", 429, {"Retry-After": "10"})
