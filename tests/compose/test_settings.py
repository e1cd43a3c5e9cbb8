"""What the browser saves in containers: in force at once, kept over a new start, and a backup made from the page."""

import html
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from stack.ops import archive
from stack.ops.compose import docker
from tests.compose.conftest import Containers
from tests.compose.test_new_project import ended
from tests.compose.test_new_project import portal as portal

pytestmark = pytest.mark.services


@pytest.fixture
def unnamed(containers: Containers) -> Iterator[None]:
    """The services without saved settings, afterwards."""
    yield
    docker.compose(containers.settings, "exec", "-T", "portal", "rm", "-f", "/var/lib/stack/settings.env")


def test_what_is_saved_is_read_by_other_containers_and_outlives_them(
    containers: Containers, portal: httpx.Client, unnamed: None
) -> None:
    read = "from stack.core.settings import load; print(load().title, load().alert_urls, load().backup_weekly)"
    started = ("portal", "worker", "backups")
    forms = {"name": {"title": "Attic"}, "alarms": {"url": "ntfy://none.invalid/x"}, "backups": {"backup_weekly": "2"}}
    for path, form in forms.items():
        portal.post(f"/settings/{path}", data=form).raise_for_status()
    assert ">Attic</a>" in portal.get("/settings").text

    for _ in ("as they run", "as new ones"):
        for name in started:
            said = docker.compose(containers.settings, "exec", "-T", name, "python", "-c", read).stdout
            assert said == "Attic ntfy://none.invalid/x 2\n", name
        words = ("up", "--detach", "--no-deps", "--force-recreate", "--wait")
        docker.compose(containers.settings, *words, *started)


def test_a_backup_is_made_and_fetched_in_the_browser(
    containers: Containers, portal: httpx.Client, tmp_path: Path
) -> None:
    said = ended(portal, portal.post("/settings/backup"))
    found = re.search(r"/backups/(stack-\w+\.tar\.gz): ", said)
    assert found, said
    link = portal.post(f"/settings/backups/{found[1]}/ticket").raise_for_status().text
    href = re.search(r'href="([^"]+)"', link)
    assert href, link
    fetched = tmp_path / found[1]
    fetched.write_bytes(portal.get(html.unescape(href[1])).raise_for_status().content)
    (containers.settings.backup_folder / found[1]).unlink()
    assert archive.verify(fetched).counts.runs > 0
