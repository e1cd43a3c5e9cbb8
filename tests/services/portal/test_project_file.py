"""The file of a project in the browser: checked, compared, saved with its old content kept, and never undone unseen."""

import re
import shutil
import subprocess

import pytest

from stack.access import actions
from stack.authoring import project_file
from stack.core import migrations
from stack.core import settings as core_settings
from stack.core.settings import ROOT
from tests.polling import eventually

PAGE = "/projects/flights/settings"


@pytest.fixture
def stack(home, tmp_path, monkeypatch):
    """A stack with a workspace of its own, which has the project flights and is no git repository."""
    workspace = tmp_path / "workspace"
    shutil.copytree(ROOT / "projects" / "flights", workspace / "projects" / "flights")
    shutil.copytree(ROOT / "feature_repo", workspace / "feature_repo")
    own = home.model_copy(update={"home": tmp_path / "var", "workspace": workspace, "prefect_key": "a-key"})
    monkeypatch.setattr(core_settings, "_of_this_process", lambda: own)
    migrations.upgrade(own.state_database)
    return own


@pytest.fixture
def file(stack):
    return stack.projects / "flights" / "project.yaml"


def post(client, stack, verb, text, digest):
    data = {"text": text.replace("\n", "\r\n"), "digest": digest}
    return client.post(f"{PAGE}/{verb}", headers=stack.prefect_headers, data=data)


def digest_of(client):
    return re.search(r'name="digest" value="(\w+)"', client.get(PAGE).text)[1]


def retitled(file):
    return re.sub(r"^title: .*$", "title: Another question", file.read_text(), flags=re.M)


def test_the_difference_is_shown_and_nothing_written(stack, file, portal):
    client, before = portal(stack), file.read_text()
    answer = post(client, stack, "check", retitled(file), digest_of(client))
    assert answer.status_code == 200 and "No problem found" in answer.text
    assert "<ins>+title: Another question</ins>" in answer.text and "<del>-title: " in answer.text
    assert file.read_text() == before
    assert "No difference" in post(client, stack, "check", before, digest_of(client)).text


WRONG = {"key titel": lambda text: f"{text}titel: x\n", "key label": lambda text: text.replace("\nlabel:", "\n#")}


@pytest.mark.parametrize(("named", "spoilt"), WRONG.items(), ids=WRONG)
def test_a_wrong_key_is_named_and_not_saved(forked, stack, file, portal, named, spoilt):
    client, before = portal(stack), file.read_text()
    digest = digest_of(client)
    checked = post(client, stack, "check", spoilt(before), digest).text
    assert re.search(f"projects/flights/project.yaml, line [0-9]+, {named}", checked) and ">Save" not in checked
    saved = post(client, stack, "save", spoilt(before), digest)
    assert saved.status_code == 409 and f"projects/flights/project.yaml, {named}" in saved.text
    assert "stack-check-" not in checked + saved.text and file.read_text() == before


def test_what_is_saved_is_recorded_taken_up_and_the_old_content_kept(forked, stack, file, portal):
    client, before, text = portal(stack), file.read_text(), retitled(file)
    answer = post(client, stack, "save", text, digest_of(client))
    assert answer.status_code == 200 and file.read_text() == text
    (kept,) = (stack.home / "project_files" / "flights").iterdir()
    assert kept.read_text() == before
    (entry,) = actions.entries(stack.state_database, "flights")
    assert (entry.action, entry.caller) == ("change settings", "this machine")
    assert "+title: Another question" in entry.parameters["difference"]
    job = re.search(r"/jobs/\w+", answer.text)[0]
    eventually(lambda: "done</span>" in client.get(job, headers=stack.prefect_headers).text)


def test_a_repository_of_the_users_own_has_the_old_and_the_new_content(forked, stack, file, portal):
    def git(*words):
        return subprocess.run(["git", *words], cwd=stack.workspace, capture_output=True, text=True, check=True).stdout

    git("init", "--quiet")
    (stack.workspace / "staged.txt").write_text("the user's")
    git("add", "staged.txt")
    client, before, text = portal(stack), file.read_text(), retitled(file)
    assert "git log" in actions_outcome(post(client, stack, "save", text, digest_of(client)), stack)
    assert git("log", "--format=%s").splitlines() == [
        "Change project.yaml of flights",
        "Keep project.yaml of flights as it was",
    ]
    assert git("show", "HEAD^:projects/flights/project.yaml") == before
    assert git("status", "--porcelain", "--", "staged.txt", "projects/flights/project.yaml") == "A  staged.txt\n"
    assert not (stack.home / "project_files").exists()


def actions_outcome(answer, stack):
    assert answer.status_code == 200, answer.text
    return actions.entries(stack.state_database)[-1].outcome


def test_a_change_since_the_page_was_opened_is_not_undone(forked, stack, file, portal):
    client = portal(stack)
    digest, mine = digest_of(client), retitled(file)
    file.write_text(theirs := file.read_text() + "# by hand\n")
    assert post(client, stack, "save", mine, digest).status_code == 409
    assert file.read_text() == theirs
    shown = post(client, stack, "check", mine, digest).text
    assert "has changed since this page was opened" in shown
    assert "<del>-# by hand</del>" in shown and "Another question" in shown and ">Save" not in shown


def test_a_file_that_cannot_be_written_is_shown_only(stack, file, portal, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    client = portal(stack)
    page = client.get(PAGE).text
    assert "cannot write" in page and "<textarea" not in page and "title: " in page
    digest = project_file.read(stack, "flights").digest
    assert post(client, stack, "save", retitled(file), digest).status_code == 409
