"""Tokens of programs: each is for one project or all, and for one purpose or several.

The database holds the SHA-256 of each: tokens are random, so that a slow hash would protect nothing more.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update

from stack.core import database
from stack.core.errors import StackError, nearest

PURPOSES = ("predict", "feedback", "rows", "admin", "train")
"""What a token may be for; ``admin`` includes the first three, and ``train`` is for a machine that joins."""
EVERY_PROJECT = "all"


@dataclass(frozen=True)
class Token:
    """What is stored of a token."""

    id: str
    name: str
    project: str
    """Name of a project, or ``all``."""
    purposes: Collection[str]
    created_at: datetime
    used_at: datetime | None

    @property
    def scope(self) -> str:
        """What it is for, in words."""
        return f"{', '.join(self.purposes)} of {self.project}"

    def allows(self, purpose: str, project: str) -> bool:
        """Return whether it is for this purpose, in this project; ``all`` asks for a token of all projects."""
        return self.project in (project, EVERY_PROJECT) and not {purpose, "admin"}.isdisjoint(self.purposes)


def create(url: str, project: str, purposes: Collection[str], at: datetime, name: str = "") -> str:
    """Store a new token in the database at `url` and return its text, which is not stored."""
    if unknown := next((purpose for purpose in purposes if purpose not in PURPOSES), None):
        raise StackError("FOR", found=f"{unknown}{nearest(unknown, PURPOSES)}", expected=f"of {', '.join(PURPOSES)}")
    identity = secrets.token_hex(4)
    text = f"{identity}-{secrets.token_hex(16)}"
    row = {"id": identity, "name": name, "hash": digest(text), "project": project, "purposes": list(purposes)}
    with database.engine(url).begin() as connection:
        connection.execute(insert(database.tokens).values(**row, created_at=at))
    return text


def by_hash(url: str) -> dict[str, Token]:
    """Return all tokens by their SHA-256, the oldest first."""
    with database.engine(url).connect() as connection:
        rows = connection.execute(select(database.tokens).order_by(database.tokens.c.created_at)).all()
    return {row.hash: _token(row) for row in rows}


def revoke(url: str, identity: str) -> None:
    """Delete a token: services refuse it within seconds."""
    with database.engine(url).begin() as connection:
        deleted = connection.execute(delete(database.tokens).where(database.tokens.c.id == identity)).rowcount
    if not deleted:
        raise StackError("REVOKE", found=identity, expected="the id of a token", todo="`make tokens` lists them")


def record_use(url: str, identity: str, at: datetime) -> None:
    """Store when a token was last used."""
    with database.engine(url).begin() as connection:
        connection.execute(update(database.tokens).where(database.tokens.c.id == identity).values(used_at=at))


def digest(text: str) -> str:
    """Return the SHA-256 of a secret, in hexadecimal digits."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _token(row: Any) -> Token:
    created, used = database.in_utc(row.created_at), row.used_at and database.in_utc(row.used_at)
    return Token(row.id, row.name, row.project, tuple(row.purposes), created, used)
