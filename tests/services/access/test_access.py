"""The check for the gateway: people, machines that train, and the wrong ones."""

import asyncio
import time
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import bcrypt
import httpx
import pytest

from services.access import app
from services.access.app import AccessApp, Delays, credentials
from stack.access import passwords, tokens
from stack.core import database, settings
from tests.polling import PATIENCE_SECONDS
from tests.stacks import own_environment

PASSWORD = "of-the-gateway"


def basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{secret}'.encode()).decode()}"}


@pytest.fixture
def stack(tmp_path):
    own = own_environment(tmp_path) | {"STACK_LAN_PASSWORD_HASH": passwords.hashed(PASSWORD)}
    yield settings.load(own, Path("/dev/null"))
    database.engine.cache_clear()


def asked(stack, *requests):
    """The answers to requests, (path, headers), that are sent at once."""

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(AccessApp(stack))
        async with httpx.AsyncClient(transport=transport, base_url="http://access", timeout=PATIENCE_SECONDS) as client:
            return await asyncio.gather(*(client.get(path, headers=headers) for path, headers in requests))

    return asyncio.run(send())


def test_people_pass_everywhere_and_a_machine_that_trains_where_it_trains(stack):
    token = {
        purpose: tokens.create(stack.state_database, project, [purpose], datetime.now(UTC))
        for purpose, project in (("train", "all"), ("admin", "all"), ("predict", "all"))
    }
    of_one_project = tokens.create(stack.state_database, "churn", ["admin"], datetime.now(UTC))
    callers = {
        "people": (basic("stack", PASSWORD), 200, 200),
        "trainer": (basic("trainer", token["train"]), 403, 200),
        "trainer's token": ({"Authorization": f"Bearer {token['train']}"}, 403, 200),
        "admin": ({"Authorization": f"bearer {token['admin']}"}, 200, 200),
        "admin of a project": ({"Authorization": f"Bearer {of_one_project}"}, 403, 403),
        "program": ({"Authorization": f"Bearer {token['predict']}"}, 403, 403),
        "nobody": ({}, 401, 401),
    }
    for caller, (headers, people, training) in callers.items():
        answers = asked(stack, ("/people", headers), ("/training", headers))
        assert [answer.status_code for answer in answers] == [people, training], caller
    assert "www-authenticate" in answers[0].headers


@pytest.mark.parametrize(
    "headers",
    [
        basic("stack", "another"),
        basic("stack", ""),
        basic("trainer", PASSWORD),
        basic("", PASSWORD),
        {"Authorization": "Bearer nothing"},
    ],
)
def test_a_wrong_login_is_refused_after_a_while(stack, headers):
    began = time.monotonic()
    (answer,) = asked(stack, ("/people", headers))
    assert answer.status_code == 401 and time.monotonic() - began >= app.FIRST_DELAY_SECONDS


def test_without_a_password_nobody_is_let_in(stack):
    without = stack.model_copy(update={"lan_password_hash": ""})
    assert asked(without, ("/people", basic("stack", "")))[0].status_code == 401


def test_guessing_takes_no_hash_of_bcrypt_and_delays_no_right_login(stack, monkeypatch):
    requests = [("/people", basic("stack", f"guess {number}")) for number in range(50)]
    monkeypatch.setattr(app, "FIRST_DELAY_SECONDS", app.LONGEST_DELAY_SECONDS)
    monkeypatch.setattr(bcrypt, "checkpw", None)

    async def send() -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(AccessApp(stack)), base_url="http://access"
        ) as client:
            wrong = [asyncio.create_task(client.get(path, headers=headers)) for path, headers in requests]
            await asyncio.sleep(0.1)
            right = await client.get("/people", headers=basic("stack", PASSWORD))
            assert right.status_code == 200
            assert not any(task.done() for task in wrong)
            for task in wrong:
                task.cancel()

    asyncio.run(send())


def test_delays_grow_with_each_wrong_login_of_an_address():
    delays = Delays()
    first = [delays.after_another("10.0.0.1") for _ in range(8)]
    assert first == sorted(first) and first[0] == app.FIRST_DELAY_SECONDS and first[-1] == app.LONGEST_DELAY_SECONDS
    assert delays.after_another("10.0.0.2") == app.FIRST_DELAY_SECONDS
    delays.forget("10.0.0.1")
    assert delays.after_another("10.0.0.1") == app.FIRST_DELAY_SECONDS


def test_a_flood_of_wrong_logins_is_refused_at_once(stack, monkeypatch):
    monkeypatch.setattr(app, "MAX_WAITING", 3)
    answers = asked(stack, *[("/people", basic("stack", str(number))) for number in range(5)])
    assert sorted(answer.status_code for answer in answers) == [401, 401, 401, 429, 429]


def test_a_hash_of_an_earlier_version_is_checked_one_at_a_time(stack):
    old = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(8)).decode()
    before = stack.model_copy(update={"lan_password_hash": old})

    assert asked(before, ("/people", basic("stack", PASSWORD)))[0].status_code == 200
    answers = asked(before, *[("/people", basic("stack", "wrong"))] * (app.MAX_SLOW_CHECKS - 2), ("/training", {}))
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    many = asked(before, *[("/people", basic("stack", "wrong"))] * (app.MAX_SLOW_CHECKS + 1))
    assert [answer.status_code for answer in many].count(429) == 1


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (basic("stack", "a:b")["Authorization"], ("stack", "a:b")),
        ("Bearer  abc ", ("", "abc")),
        ("", None),
        ("Bearer", None),
        ("Basic ????", None),
        ("Basic " + b64encode(b"\xff:x").decode(), None),
        ("Basic " + b64encode(b"no colon").decode(), None),
        ("Digest abc", None),
    ],
)
def test_a_header_is_read_or_none(header, read):
    found = credentials(header)
    assert (found and (found.user, found.secret)) == read
