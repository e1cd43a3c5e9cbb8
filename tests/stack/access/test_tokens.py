"""Tokens of programs: stored as hashes, for one project or all, revoked within seconds."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from stack.access import passwords, tokens, verifier
from stack.access.verifier import Verifier
from stack.core import database
from stack.core.errors import StackError
from stack.core.settings import Settings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def url(tmp_path):
    yield Settings(home=tmp_path).state_database
    database.engine.cache_clear()


def test_only_the_hash_is_stored(url):
    text = tokens.create(url, "churn", ["predict"], NOW, "doorbell")

    with database.engine(url).connect() as connection:
        (row,) = connection.execute(select(database.tokens)).all()
    assert text not in str(row) and text.partition("-")[2] not in str(row)
    (stored,) = tokens.by_hash(url).values()
    assert (stored.id, stored.name, stored.project, stored.purposes) == (row.id, "doorbell", "churn", ("predict",))
    assert (stored.created_at, stored.used_at) == (NOW, None)
    assert len(text.partition("-")[2]) * 4 >= 100  # bits


@pytest.mark.parametrize(
    ("project", "purposes", "allowed"),
    [
        ("churn", ["predict"], {("predict", "churn")}),
        ("churn", ["predict", "rows"], {("predict", "churn"), ("rows", "churn")}),
        ("all", ["feedback"], {("feedback", "churn"), ("feedback", "flights"), ("feedback", "all")}),
        (
            "churn",
            ["admin"],
            {("predict", "churn"), ("feedback", "churn"), ("rows", "churn"), ("admin", "churn")},
        ),
        ("all", ["train"], set()),
    ],
)
def test_a_token_is_for_its_project_and_purposes(url, project, purposes, allowed):
    tokens.create(url, project, purposes, NOW)
    (token,) = tokens.by_hash(url).values()

    asked = {(verb, of) for verb in ("predict", "feedback", "rows", "admin") for of in ("churn", "flights", "all")}
    assert {pair for pair in asked if token.allows(*pair)} == allowed


def test_an_unknown_purpose_and_an_unknown_id_are_named(url):
    with pytest.raises(StackError, match="did you mean 'predict'"):
        tokens.create(url, "churn", ["predit"], NOW)
    with pytest.raises(StackError, match="deadbeef"):
        tokens.revoke(url, "deadbeef")


def test_a_new_token_is_known_and_a_revoked_one_is_not_within_seconds(url, monkeypatch):
    monkeypatch.setattr(verifier, "REFRESH_SECONDS", 0.05)
    monkeypatch.setattr(verifier, "UNKNOWN_SECONDS", 0.05)

    async def scenario() -> None:
        checking = Verifier(url, "own-secret")
        assert await checking.find("nothing") is None
        text = tokens.create(url, "churn", ["predict"], NOW)
        await asyncio.sleep(0.06)
        found = await checking.find(text)
        assert found and found.project == "churn"
        assert await checking.find(text + "x") is None and await checking.find(found.id) is None
        tokens.revoke(url, found.id)
        await asyncio.sleep(0.06)
        assert await checking.find(text) is None
        own = await checking.find("own-secret")
        assert own and own.allows("rows", "churn")
        assert await Verifier(url, "").find("") is None

    asyncio.run(scenario())


def test_the_last_use_is_written_at_most_once_a_minute(url, monkeypatch):
    written = []
    monkeypatch.setattr(tokens, "record_use", lambda url, identity, at: written.append(at))

    async def scenario() -> None:
        checking, text = Verifier(url, ""), tokens.create(url, "all", ["predict"], NOW)
        for _ in range(5):
            await checking.find(text)
        await asyncio.sleep(0.1)
        assert len(written) == 1
        checking._used = {identity: at - timedelta(minutes=1) for identity, at in checking._used.items()}
        await checking.find(text)
        await asyncio.sleep(0.1)
        assert len(written) == 2

    asyncio.run(scenario())


def test_the_last_use_is_listed(url):
    async def scenario() -> None:
        await Verifier(url, "").find(tokens.create(url, "all", ["predict"], NOW))

    asyncio.run(scenario())
    (token,) = tokens.by_hash(url).values()
    assert token.used_at and datetime.now(UTC) - token.used_at < timedelta(minutes=1)


def test_a_password_matches_its_hash_and_that_of_an_earlier_version():
    bcrypt_of_hello = "$2a$04$JpSv1bUJBYJ4xPhpqtudc.kuU7Zw.b/tHrv7dN.Farlucd9vKD3Ua"
    stored = passwords.hashed("of-the-gateway")

    assert "of-the-gateway" not in stored and not passwords.is_slow(stored) and passwords.is_slow(bcrypt_of_hello)
    assert passwords.matches("of-the-gateway", stored) and not passwords.matches("another", stored)
    assert passwords.matches("hello", bcrypt_of_hello) and not passwords.matches("other", bcrypt_of_hello)
    for wrong in ("", "unset", "sha256:"):
        assert not passwords.matches("", wrong) and not passwords.matches("hello", wrong)
    assert not passwords.matches("nul\0" * 40, bcrypt_of_hello)
