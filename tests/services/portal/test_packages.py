"""What can be taken away: packages of the champion, and reports as one file."""

import re

import pytest

from stack.access import actions
from stack.core import migrations
from tests.polling import eventually

PATH = "/projects/flights/package"


@pytest.fixture
def stack(reported):
    migrations.upgrade(reported.state_database)
    return reported.model_copy(update={"prefect_key": "a-key"})


def test_packages_are_made_by_those_who_may_and_say_why_not(stack, portal):
    client, old = portal(stack), stack.home / "packages" / "flights" / "old.whl"
    installed = old.parent / "0123456789abcdef" / "package.py"  # for the trainings of the project
    installed.parent.mkdir(parents=True)
    installed.touch()
    old.touch()
    assert client.post(PATH, headers={"Authorization": ""}).status_code == 401 and old.exists()
    job = re.search(r"/jobs/[0-9a-f]+", client.post(PATH, headers=stack.prefect_headers).text)[0]
    said = eventually(lambda: "failed" in (text := client.get(job, headers=stack.prefect_headers).text) and text)
    assert "$ stack package" in said and "MLflow" in said and not old.exists() and installed.exists()
    assert [entry.action for entry in actions.entries(stack.state_database)] == ["package"]


def test_packages_are_fetched_and_nothing_else_is(stack, portal):
    client, folder = portal(stack), stack.home / "packages" / "flights"
    folder.mkdir(parents=True)
    (folder / "flights_model-1-py3-none-any.whl").write_bytes(b"wheel")
    answer = client.get("/projects/flights/packages/flights_model-1-py3-none-any.whl")
    assert answer.content == b"wheel" and "attachment" in answer.headers["content-disposition"]
    for name in ("none.whl", "..%2F..%2Fstate%2Fstate.db", "%2Fetc%2Fpasswd"):
        assert client.get(f"/projects/flights/packages/{name}").status_code == 404


def test_a_report_is_downloaded_with_its_library(stack, portal):
    client, folder = portal(stack), stack.pages
    (folder / "assets").mkdir()
    (folder / "assets" / "0a1b.js").write_text(r"const drawn = '\1';")
    page = folder / "flights" / "20130315T000000Z.html"
    page.write_text('<script src="../assets/0a1b.js"></script><script src="../assets/ff.js"></script><p>drift</p>')
    answer = client.get(f"/reports/flights/{page.name}/download")
    assert "<script>const drawn = '\\1';</script>" in answer.text and "../assets/ff.js" in answer.text
    assert answer.headers["content-disposition"] == f'attachment; filename="flights-{page.name}"'
    assert f"/reports/flights/{page.name}/download" in client.get("/reports/flights/").text
    for name in (f"{page.stem}.json", "none.html", "..%2Fassets%2F0a1b.js"):
        assert client.get(f"/reports/flights/{name}/download").status_code == 404
