"""The audit of all projects: actions and decisions together, the newest first, each with who and what."""

import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from stack.access import actions
from stack.access.actions import Action
from stack.core import migrations
from stack.core.database import decisions, engine


def minute(number: int) -> datetime:
    return datetime(2026, 1, 1, 0, number, tzinfo=UTC)


@pytest.fixture
def stack(home):
    """A stack in which something was done, decided and failed, in this order."""
    migrations.upgrade(home.state_database)
    row = {"number": 1, "kind": "promote", "champion": "1", "at": datetime(2013, 1, 1, tzinfo=UTC), "numbers": {}}
    with engine(home.state_database).begin() as connection:
        for project, at, state in (("flights", 2, "done"), ("gone", 5, "void")):
            decided = {"project": project, "version": "2", "reason": "<b>better</b>", "state": state}
            connection.execute(insert(decisions).values(row | decided | {"decided_at": minute(at)}))
    done = Action("stack at 192.168.1.7", "flights", "start", {}, "Train: started", minute(1))
    failed = Action("this machine", "", "back up", {}, "failed: no\n  room", minute(3))
    for action in (done, failed):
        actions.record(home.state_database, action)
    return home


def test_actions_and_decisions_stand_together_the_newest_first(stack, portal):
    page = portal(stack).get("/audit").text
    assert re.findall(r"2026-01-01 00:0(\d) UTC", page) == ["5", "3", "2", "1"]
    for text in (
        "void: &lt;b&gt;better&lt;/b&gt;",
        "failed: no room",
        "promote version 2 after 1</td>",
        "Train: started",
    ):
        assert text in page
    assert "stack at 192.168.1.7" in page and "2013" not in page


def test_the_audit_of_one_project(stack, portal):
    page = portal(stack).get("/audit?project=flights").text
    assert page.count("<tr>") == 3 and "back up" not in page and "<option selected>flights" in page
    assert "Nothing yet" in portal(stack).get("/audit?project=nothing").text


def test_long_audits_are_cut_at_the_newest(stack, portal):
    for number in range(250):
        actions.record(stack.state_database, Action("me", "flights", f"step {number}.", {}, "", minute(10)))
    page = portal(stack).get("/audit").text
    assert page.count("<tr>") == 201 and "step 249." in page and "step 49." not in page
