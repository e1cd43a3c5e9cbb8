"""What a hostile or clumsy browser sends: it is refused in words, and nothing of it is done unseen."""

import pytest
from starlette.testclient import TestClient

from services.portal import limits
from services.portal.app import build
from services.portal.pages import events
from stack.access import actions
from stack.core import migrations
from stack.ops.runs import Runs
from tests import fuzz_portal

SAVE = "/projects/flights/settings/save"
DEEP = "title: " + "[" * 90_000
LAUGHS = "a: &a [x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{last}'] * 10)}]\n" for last, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.fixture
def stack(home):
    migrations.upgrade(home.state_database)
    return home.model_copy(update={"prefect_key": "a-key", "backup_folder": home.home / "backups"})


@pytest.fixture
def client(stack, portal):
    client = portal(stack)
    client.headers.update(stack.prefect_headers)
    return client


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/projects/flights/labels", {"page": "²"}),
        ("/projects/flights/labels", {"page": "9" * 5000}),
        ("/projects/flights/predictions", {"before": "0001-01-01T00:00:00+23:00"}),
        ("/projects/flights/predictions", {"day": "9999-12-31"}),
    ],
)
def test_a_wrong_number_or_instant_in_an_address_shows_a_page(client, path, query):
    assert client.get(path, params=query).status_code == 200


@pytest.mark.parametrize("path", ["/audit?project=%00", "/projects/flights/predictions?id=a%00", "/docs/%00"])
def test_no_address_has_nul(client, path):
    assert client.get(path).status_code == 400


@pytest.mark.parametrize("path", ["/reports/flights/r.html", "/docs/flights/", "/docs/assets/a.js"])
def test_before_anything_is_generated_nothing_is_found(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("steps", ["²", "9" * 5000, "-1"])
def test_a_wrong_number_in_a_form_is_no_failure(client, steps):
    assert client.post("/projects/weather/try", data={"steps": steps}).status_code == 502  # no service is asked


@pytest.mark.parametrize("text", [DEEP, LAUGHS, "a: &a [*a]", "title: 2024-02-30", f"title: {'9' * 5000}", "title: \0"])
def test_a_text_that_takes_time_memory_or_the_process_is_no_project(client, stack, text):
    answer = client.post(SAVE, data={"text": text, "digest": "x"})
    assert answer.status_code == 409 and "project.yaml" in answer.text
    assert "failed: " in actions.entries(stack.state_database)[0].outcome


def test_a_body_is_refused_as_soon_as_it_is_too_large(client, stack, monkeypatch):
    monkeypatch.setattr(limits, "MAX_BYTES", 1000)
    small = stack.model_copy(update={"upload_megabytes": 1})
    sent = []

    def endless():
        while True:
            sent.append(1)
            yield b"text=" + b"x" * 500

    with TestClient(build(small), base_url="http://127.0.0.1") as other:
        for path, most in ((SAVE, 1000), ("/new/look", 1_000_000)):
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            content = b"text=" + b"x" * most
            assert other.post(path, headers=small.prefect_headers | form, content=content).status_code == 413
            assert other.post(path, headers=form, content=content).status_code == 401
    assert actions.entries(stack.state_database) == [] and not (stack.home / "uploads").exists()


def test_an_upload_leaves_room_on_the_disk(client, stack, monkeypatch):
    monkeypatch.setattr(limits.disk, "free", lambda folder: limits.disk.RESERVE)
    big = {"file": ("a.csv", b"a,b\n" + b"1,2\n" * 1_100_000)}
    assert client.post("/new/look", files=big).status_code == 413


@pytest.mark.parametrize("path", ["/new/look", "/new/make"])
def test_a_password_in_an_address_is_neither_passed_on_nor_kept(client, stack, path, monkeypatch):
    monkeypatch.setattr("asyncio.create_subprocess_exec", None)
    place = {"name": "sales", "place": "postgresql://me:hunter2@db/sales", "table": "sales", "target": "sum"}
    answer = client.post(path, data=place)
    assert answer.status_code == 409 and ".env" in answer.text and "hunter2" not in answer.text
    assert "hunter2" not in str(actions.entries(stack.state_database))


def test_no_field_is_an_option_of_the_command(client, stack, monkeypatch):
    jobs = []
    monkeypatch.setattr("services.portal.jobs.Jobs.start", lambda self, job: jobs.append(job) or job)
    client.post("/new/make", data={"name": "--help", "place": "--unfinished", "target": "-x"})
    ((new, run),) = [job.commands for job in jobs]
    assert new == ["new", "--from=--unfinished", "--target=-x", "--", "--help"] and run == ["run", "--", "--help"]


def test_what_breaks_off_an_action_stands_in_the_audit(stack, portal, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(Runs, "start", broken)
    with pytest.raises(OSError, match="disk full"):
        portal(stack).post("/projects/flights/start/train", headers=stack.prefect_headers)
    assert "disk full" in actions.entries(stack.state_database)[0].outcome


def test_a_name_in_the_audit_is_one_short_line(client, stack):
    client.post("/projects/flights/pause", headers={"X-Stack-User": "me%0A%00%1b[31m" + "x" * 5000})
    assert actions.entries(stack.state_database)[0].caller == "me[31m" + "x" * 94


def test_an_archive_that_is_gone_does_not_take_the_settings_along(client, stack):
    stack.backup_folder.mkdir(parents=True, exist_ok=True)
    (stack.backup_folder / "stack-gone.tar.gz").symlink_to(stack.home / "an unmounted disk")
    assert client.get("/settings").status_code == 200


def test_a_readme_of_any_content_is_shown(client, tmp_path, stack, monkeypatch):
    readme = tmp_path / "README.md"
    readme.write_bytes(b"# Caf\xe9\n\n[broken](http://[) <script>alert(1)</script> [x](javascript:alert(1))\n")
    monkeypatch.setattr("services.portal.documents.sources", lambda settings: {"projects/cafe/README.md": readme})
    page = client.get("/help/projects/cafe").text
    assert "<h1" in page and "<script>alert" not in page and 'href="javascript' not in page
    assert client.get("/help/").status_code == client.get("/help/", params={"q": "caf"}).status_code == 200


def test_more_pages_than_some_are_not_followed(client, monkeypatch):
    monkeypatch.setattr(events, "MOST", 0)
    assert client.get("/events", params={"page": "/"}).status_code == 503


def test_every_action_is_fuzzed(stack):
    posts = {route.path for route in build(stack).routes if "POST" in (getattr(route, "methods", None) or ())}
    assert {fuzz_portal.plain(path) for path in posts} == {*fuzz_portal.FORMS}
