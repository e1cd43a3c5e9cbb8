"""The hash of the people's password: SHA-256, as the password is 100 random bits, so that a guess costs nothing.

Earlier versions made bcrypt hashes, which are read as before: the check of one takes a second of a core.
"""

import hmac

from stack.access.tokens import digest

PREFIX = "sha256:"


def hashed(password: str) -> str:
    """Return the hash to store."""
    return f"{PREFIX}{digest(password)}"


def is_slow(stored: str) -> bool:
    """Return whether a check against this hash takes long."""
    return bool(stored) and not stored.startswith(PREFIX)


def matches(password: str, stored: str) -> bool:
    """Return whether a password has this hash; no password has the empty one."""
    if not is_slow(stored):
        return hmac.compare_digest(hashed(password), stored)
    import bcrypt

    try:
        return bcrypt.checkpw(password.encode(errors="surrogateescape")[:72], stored.encode())
    except ValueError:  # no hash of bcrypt, or a password with a NUL
        return False
