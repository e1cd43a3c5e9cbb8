"""The canary's switch in the browser: it writes the share into the project's file, and withdraws what answers."""

import shutil

import pytest
import yaml

from services.portal import processes
from stack.access import actions
from stack.core import migrations
from stack.core import settings as core_settings
from stack.core.settings import ROOT
from stack.promotion import decisions
from stack.registry.registry import Registry, Version

PAGE = "/projects/flights/canary"


@pytest.fixture
def stack(home, tmp_path, monkeypatch):
    """A stack with the project flights, whose version 3 is canary beside champion version 2."""
    workspace = tmp_path / "workspace"
    shutil.copytree(ROOT / "projects" / "flights", workspace / "projects" / "flights")
    own = home.model_copy(update={"home": tmp_path / "var", "workspace": workspace, "prefect_key": "a-key"})
    monkeypatch.setattr(core_settings, "_of_this_process", lambda: own)
    aliases = {"champion": "2", "canary": "3"}

    def aliased(alias):
        return lambda _: Version("flights", aliases[alias], "") if alias in aliases else None

    for alias in ("champion", "canary", "challenger"):
        monkeypatch.setattr(Registry, alias, aliased(alias))
    monkeypatch.setattr(Registry, "_drop_alias_of", lambda _, alias, version: aliases.pop(alias))
    migrations.upgrade(own.state_database)
    return own


def share_of(stack):
    text = (stack.projects / "flights" / "project.yaml").read_text()
    return yaml.safe_load(text).get("rollout", {}).get("canary", 0)


def test_it_is_switched_on_with_a_share_and_off_with_the_canary_that_answers(stack, portal):
    client = portal(stack)
    answer = client.post(PAGE, headers=stack.prefect_headers, data={"canary": "on", "percent": "12.5"})
    assert answer.status_code == 200 and answer.headers["HX-Trigger"] == "acted"
    assert share_of(stack) == 0.125
    shown = client.get(PAGE).text
    assert "12.5 % of the requests for 24 hours" in shown and "version 3 answers" in shown
    client.post(PAGE, headers=stack.prefect_headers, data={"canary": "off", "percent": ""})
    assert share_of(stack) == 0 and "champion at once" in client.get(PAGE).text
    on, off = actions.entries(stack.state_database, "flights")
    assert (on.action, on.parameters["share"]) == ("canary", 0.125)
    assert "version 3 is withdrawn" in off.outcome
    ((_, entry),) = decisions.recent(stack)
    assert (entry.kind, entry.version, entry.state) == ("withdraw", "3", "done") and "this machine" in entry.reason


@pytest.mark.parametrize("percent", ["0", "100", "-5", "much", ""])
def test_a_share_is_between_nothing_and_all(stack, portal, percent):
    answer = portal(stack).post(PAGE, headers=stack.prefect_headers, data={"canary": "on", "percent": percent})
    assert answer.status_code == 409 and "per cent" in answer.text and share_of(stack) == 0


def test_without_the_key_nothing_changes(stack, portal):
    assert portal(stack).post(PAGE, data={"canary": "on", "percent": "10"}).status_code == 401
    assert share_of(stack) == 0 and not decisions.recent(stack)


def test_what_a_shadow_answers_unseen_is_compared_in_a_process_of_its_own(stack, portal, monkeypatch):
    client, found = portal(stack), []
    assert "/projects/flights/shadow" not in client.get(PAGE).text
    file = stack.projects / "flights" / "project.yaml"
    file.write_text(file.read_text() + "\nrollout: {shadow: true}\n")
    assert 'hx-get="/projects/flights/shadow"' in client.get(PAGE).text

    async def read(_, module, name):
        found.append((module, name))
        losses = {"rows": 1, "mean": 0.2877, "other": 1.386}
        return {"version": "4", "rows": 1200, "difference": 0.375, "largest": 0.5, "losses": losses}

    monkeypatch.setattr(processes, "read", read)
    shown = client.get("/projects/flights/shadow").text
    assert found == [("stack.promotion.shadows", "flights")]
    assert "Version 4 has answered 1,200 of the newest requests unseen, 0.375 apart" in shown
    assert "its log-loss is 0.2877 instead of 1.386" in shown
