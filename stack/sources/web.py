"""Requests to the API of a program: its errors say what to do, and no secret."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from stack.core import secrets
from stack.core.errors import StackError, UnavailableError

TIMEOUT = httpx.Timeout(120, connect=20)


def client(url: str, headers: dict[str, str]) -> httpx.Client:
    """Return a client of an API."""
    return httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=TIMEOUT, follow_redirects=True)


@contextmanager
def explained(where: str, login: str) -> Iterator[None]:
    """Turn what a request raises into an error that says what to do.

    Args:
        where: the key of the address.
        login: what the user can correct when the login is refused.
    """
    try:
        yield
    except httpx.HTTPStatusError as error:
        answer = error.response
        found = secrets.redact(f"status {answer.status_code}: {' '.join(answer.text.split())}")[:300]
        if answer.status_code in (401, 403):
            expected = "a login that is accepted"
            raise StackError(
                where, found=found, expected=expected, todo=f"correct {login}, and its value in .env"
            ) from None
        if answer.status_code < 500 and answer.status_code != 429:
            raise StackError(where, found=found, expected="a request that is understood", todo="correct it") from None
        raise away(where, found) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise StackError(where, found=str(error), expected="a URL like http://nas:8086", todo="correct it") from None
    except httpx.HTTPError as error:
        raise away(where, secrets.redact(f"{type(error).__name__}: {error}")) from None


def away(where: str, found: str) -> UnavailableError:
    """Return the error about a server that does not answer at the moment."""
    todo = "look whether it runs and its address is right"
    return UnavailableError(where, found=found, expected="a server that answers", todo=todo)
