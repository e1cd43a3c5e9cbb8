"""The settings of the stack in the browser: alarms are tried and kept, backups made, fetched and brought back."""

import html
import json
import os
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
from dotenv import dotenv_values
from starlette.testclient import TestClient

from services.guard import Guard
from services.portal import tickets
from services.portal.app import build
from stack.access import actions, passwords
from stack.core import alerts, migrations, saved, settings
from stack.ops import credentials, unattended, versions
from tests.polling import eventually

ARCHIVE = "stack-20261129T070000Z.tar.gz"
POSTS = [
    *("/settings/alarms", "/settings/alarms/try", "/settings/restart", "/settings/backup", "/settings/restore"),
    *("/settings/name", "/settings/backups", "/settings/gateway", "/settings/login", "/settings/later"),
    f"/settings/backups/{ARCHIVE}/ticket",
]


@pytest.fixture
def stack(home, tmp_path, monkeypatch):
    """A stack with a key, an `.env` of its own and one archive, which is none."""
    folder = tmp_path / "backups"
    folder.mkdir()
    (folder / ARCHIVE).write_bytes(b"an archive")
    monkeypatch.setattr(credentials, "FILE", tmp_path / ".env")
    credentials.FILE.write_text("OTHER=kept\n")
    own = home.model_copy(update={"home": tmp_path / "var", "backup_folder": folder, "prefect_key": "a-key"})
    migrations.upgrade(own.state_database)
    return own


@pytest.fixture
def started(monkeypatch):
    """The commands of processes that would outlive the portal."""
    commands = []

    def popen(command, **options):
        commands.append((command, options))
        return SimpleNamespace(pid=os.getpid())

    fake = SimpleNamespace(Popen=popen, DEVNULL=subprocess.DEVNULL)
    monkeypatch.setattr("services.portal.unattended.subprocess", fake)
    return commands


@pytest.fixture
def receiver():
    """A server that takes alarms, and what it was sent."""
    sent = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Take)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/a-secret", sent
    server.shutdown()
    server.server_close()


def post(client, stack, path, **data):
    return client.post(f"/settings/{path}", headers=stack.prefect_headers, data=data)


@pytest.mark.parametrize("path", POSTS)
def test_without_the_key_or_from_a_foreign_page_nothing_is_done(stack, portal, started, path):
    assert portal(stack).post(path, data={"url": "json://x"}).status_code == 401
    client = TestClient(Guard(build(stack), stack), base_url="http://127.0.0.1:8080")
    foreign = stack.prefect_headers | {"Origin": "http://evil.example"}
    assert client.post(path, headers=foreign).status_code == 403
    assert portal(stack).get(path, headers=stack.prefect_headers).status_code == 405
    assert started == [] and actions.entries(stack.state_database) == []
    assert credentials.FILE.read_text() == "OTHER=kept\n"


def test_a_test_alarm_arrives(stack, portal, receiver):
    url, sent = receiver
    client = portal(stack)
    assert "sent" in post(client, stack, "alarms/try", url=url).text
    assert sent[0]["title"] == "Home-lab MLOps: a test"
    (entry,) = actions.entries(stack.state_database)
    assert entry.parameters == {"to": ["json://…"]}
    refused = post(client, stack, "alarms/try", url=url.replace("127.0.0.1", "127.0.0.2"))
    assert refused.status_code == 409 and "alarm not delivered" in refused.text
    assert "no address" in post(client, stack, "alarms/try").text


def kept(stack):
    return saved.read(stack.home)


def test_an_address_is_kept_beside_the_others_or_instead_of_them(stack, portal):
    client = portal(stack)
    for url, replace in (("ntfy://one/secret", "no"), ("ntfy://two", "no")):
        assert post(client, stack, "alarms", url=url, replace=replace).status_code == 200
    assert kept(stack) == {"alert_urls": "ntfy://one/secret,ntfy://two"}
    assert saved.path(stack.home).stat().st_mode & 0o777 == 0o600
    page = client.get("/settings").text
    assert page.count("<code>ntfy://…</code>") == 2 and "secret" not in page
    post(client, stack, "alarms", url="json://three", replace="yes")
    assert kept(stack) == {"alert_urls": "json://three"}
    post(client, stack, "alarms", url="", replace="yes")
    assert kept(stack) == {"alert_urls": ""}
    assert all("secret" not in str(entry) for entry in actions.entries(stack.state_database))
    assert credentials.FILE.read_text() == "OTHER=kept\n"


def test_a_saved_address_takes_alarms_at_once(stack, portal, receiver):
    url, sent = receiver
    client = portal(stack)
    post(client, stack, "alarms", url=url)
    post(client, stack, "name", title="Attic")
    assert alerts.notify(stack, "flights: batch refused", "rows twice")  # as a service that has been running before
    assert sent[0]["title"] == "Attic: flights: batch refused"


@pytest.mark.parametrize("url", ["", "ntfy", "json://a b", "json://a,b", "json://a'\nSTACK_HOST='0.0.0.0"])
def test_what_is_no_address_is_not_written(stack, portal, url):
    assert post(portal(stack), stack, "alarms", url=url).status_code == 409
    assert kept(stack) == {}


def test_an_archive_is_fetched_once_by_a_ticket(stack, portal, monkeypatch):
    client = portal(stack)

    def link():
        return re.search(r'href="([^"]+)"', post(client, stack, f"backups/{ARCHIVE}/ticket").text)[1]

    assert ARCHIVE in client.get("/settings").text
    first = link()
    assert client.get(first).content == b"an archive"
    assert client.get(first).status_code == 403
    assert client.get(first.partition("?")[0]).status_code == 403
    monkeypatch.setattr(tickets, "SECONDS", -1.0)
    assert client.get(link()).status_code == 403
    assert post(client, stack, "backups/stack-other.tar.gz/ticket").status_code == 409


def test_a_restore_wants_the_name_typed_in_and_outlives_the_portal(stack, portal, started):
    client = portal(stack)
    for archive, typed in ((ARCHIVE, "yes"), ("stack-no.tar.gz", "stack-no.tar.gz"), ("../.env", "../.env")):
        assert post(client, stack, "restore", archive=archive, typed=typed).status_code == 409
    assert started == []
    assert "waits for it" in post(client, stack, "restore", archive=ARCHIVE, typed=ARCHIVE).text
    ((command, options),) = started
    assert command == [sys.executable, "-m", "stack.ops.unattended", "restore", str(stack.backup_folder / ARCHIVE)]
    assert options["start_new_session"] and options["env"]["STACK_HOME"] == str(stack.home)
    assert not any(key.startswith("SUPERVISOR_") for key in options["env"])
    for path, form in (("restore", {"archive": ARCHIVE, "typed": ARCHIVE}), ("restart", {})):
        assert "at work" in post(client, stack, path, **form).text
    assert len(started) == 1


def test_a_restart_takes_up_what_the_file_says(stack, portal, started):
    client = portal(stack.model_copy(update={"alert_urls": "ntfy://old"}))
    assert "<code>STACK_ALERT_URLS</code> in <code>.env</code> holds" in client.get("/settings").text
    post(client, stack, "restart")
    unattended.path(stack).unlink()
    assert "after a restart" in post(client, stack, "alarms", url="ntfy://new", replace="yes").text
    assert kept(stack) == {} and dotenv_values(credentials.FILE)["STACK_ALERT_URLS"] == "ntfy://new"
    assert "after a restart: where alarms go." in client.get("/settings").text
    post(client, stack, "restart")
    assert [options["env"].get("STACK_ALERT_URLS") for _, options in started] == ["ntfy://old", None]


@pytest.fixture
def in_containers(monkeypatch):
    """A portal that cannot write to its checkout."""
    monkeypatch.setattr("services.portal.unattended.possible", lambda: False)


def test_in_containers_the_home_keeps_what_is_saved(stack, portal, in_containers):
    client = portal(stack)
    page = client.get("/settings").text
    assert "make restore" in page and 'hx-post="/settings/restart"' not in page and 'name="backup_folder"' not in page
    assert post(client, stack, "name", title="Attic").status_code == 200
    assert post(client, stack, "alarms", url="ntfy://x").status_code == 200
    assert post(client, stack, "backups", backup_daily="3", backup_weekly="0").status_code == 200
    assert kept(stack) == {"title": "Attic", "alert_urls": "ntfy://x", "backup_daily": "3", "backup_weekly": "0"}
    page = client.get("/settings").text
    assert ">Attic</a>" in page and "of 3 days and 0 weeks" in page and "in force after" not in page
    own = settings.load({"STACK_HOME": str(stack.home)}, credentials.FILE.with_name("none"))
    assert (own.title, own.backup_daily) == ("Attic", 3)


def test_in_containers_what_env_has_set_is_not_changed(stack, portal, in_containers):
    chosen = stack.model_copy(update={"title": "Cellar", "alert_urls": "ntfy://old", "backup_daily": 2})
    client = portal(chosen)
    page = client.get("/settings").text
    for name in ("TITLE", "ALERT_URLS", "BACKUP_DAILY"):
        assert f"<code>STACK_{name}</code> in <code>.env</code> holds" in page
    assert 'hx-post="/settings/name"' not in page and "STACK_BACKUP_WEEKLY" not in page
    changes = {"title": "Attic", "url": "ntfy://x", "backup_daily": "3", "backup_folder": "/tmp"}
    for path in ("name", "alarms", "backups", "restart", "restore"):
        assert post(client, stack, path, **changes).status_code == 409
    assert kept(stack) == {} and credentials.FILE.read_text() == "OTHER=kept\n"


def test_what_failed_is_shown_and_in_the_audit(stack, portal):
    versions.write(stack)

    def broken(report):
        report("begun")
        raise OSError("no room")

    assert unattended.run(stack, "restore x", broken, "me") == 1
    client = portal(stack)
    page = client.get("/settings").text
    assert "failed</span> restore x" in page and "begun\nOSError: no room" in page
    assert 'hx-trigger="every' not in client.get("/settings/progress").text
    (entry,) = actions.entries(stack.state_database)
    assert (entry.caller, entry.outcome) == ("me", "failed: OSError: no room")


def test_one_restart_at_a_time(stack, portal, started):
    client = portal(stack)

    def under_way(_):
        assert post(client, stack, "restart").status_code == 409
        assert 'hx-trigger="every 2s"' in client.get("/settings").text

    versions.write(stack)
    assert unattended.run(stack, "restart", under_way, "me") == 0
    assert started == []
    assert post(client, stack, "restart").status_code == 200


def test_the_first_start_is_asked_about_until_something_of_it_is_done(stack, portal):
    client = portal(stack)
    assert "Set it up" in eventually(lambda: "Set it up" in (text := client.get("/").text) and text)
    assert post(client, stack, "later").status_code == 200
    eventually(lambda: "Set it up" not in client.get("/").text)


def test_what_is_saved_is_in_force_at_once_and_the_folder_after_a_restart(stack, portal, started, tmp_path):
    client, folder = portal(stack), tmp_path / "new disk" / "backups"
    assert post(client, stack, "name", title='Attic "100 %" & co').status_code == 200
    saved = {"backup_folder": str(folder), "backup_daily": "3", "backup_weekly": "0"}
    assert post(client, stack, "backups", **saved).status_code == 200 and folder.is_dir()
    page = html.unescape(client.get("/settings").text)
    assert "after a restart: where backups go." in page and "of 3 days and 0 weeks" in page
    assert 'value="Attic' in page
    post(client, stack, "restart")
    ((_, options),) = started
    given = {key: value for key, value in options["env"].items() if key.startswith("STACK_")}
    later = settings.load(given, credentials.FILE)
    assert (later.title, later.backup_folder, later.backup_daily) == ('Attic "100 %" & co', folder, 3)


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("name", {"title": ""}),
        ("name", {"title": "x" * 61}),
        ("name", {"title": "a'\nSTACK_HOST='0.0.0.0"}),
        ("backups", {"backup_folder": "", "backup_daily": "1", "backup_weekly": "1"}),
        ("backups", {"backup_folder": "relative", "backup_daily": "1", "backup_weekly": "1"}),
        ("backups", {"backup_folder": "/proc/none", "backup_daily": "1", "backup_weekly": "1"}),
        ("backups", {"backup_folder": "/tmp", "backup_daily": "-1", "backup_weekly": "1"}),
        ("backups", {"backup_folder": "/tmp", "backup_daily": "many", "backup_weekly": "1"}),
        ("login", {}),
    ],
)
def test_what_is_not_valid_is_not_saved(stack, portal, path, form):
    assert post(portal(stack), stack, path, **form).status_code == 409
    assert kept(stack) == {} and credentials.FILE.read_text() == "OTHER=kept\n"


def test_other_machines_get_in_with_a_password_that_is_shown_once(stack, portal, monkeypatch):
    monkeypatch.setattr("stack.ops.compose_file.shutil.which", lambda _: "/usr/bin/caddy")
    client = portal(stack)
    shown = [post(client, stack, path, open="yes").text for path in ("gateway", "gateway", "login")]
    first, none, second = [re.search(r"password ([a-z2-9-]+)", text) for text in shown]
    assert none is None and first[1] != second[1]
    said = dotenv_values(credentials.FILE)
    assert said["STACK_PROFILES"] == "lan" and passwords.matches(second[1], said["STACK_LAN_PASSWORD_HASH"])
    assert second[1] not in str(actions.entries(stack.state_database)) + client.get("/settings").text
    assert post(client, stack, "gateway", open="no").status_code == 200
    assert dotenv_values(credentials.FILE)["STACK_PROFILES"] == "none"


def test_without_the_gateways_program_it_stays_closed(stack, portal, monkeypatch):
    monkeypatch.setattr("stack.ops.compose_file.shutil.which", lambda _: None)
    refused = post(portal(stack), stack, "gateway", open="yes")
    assert refused.status_code == 409 and "apt install caddy" in refused.text
    assert credentials.FILE.read_text() == "OTHER=kept\n"
