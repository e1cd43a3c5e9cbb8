"""A running Evidently UI sees what the monitoring flow saves, and survives it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

from monitoring import reports, workspace
from stack.project import Project
from tests.conftest import free_ports

pytestmark = pytest.mark.services
AT = datetime(2013, 3, 15, tzinfo=UTC)
SECONDS = 90


@pytest.fixture
def ui(home) -> Iterator[httpx.Client]:
    """Evidently's UI on a workspace that is still empty."""
    (port,) = free_ports(1)
    home.reports.mkdir(parents=True)
    command = [Path(sys.executable).with_name("evidently"), "ui", "--workspace", home.reports, "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | {"DO_NOT_TRACK": "1"}, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", trust_env=False) as client:
            names(client, "version", lambda _: True)
            yield client
    finally:
        server.terminate()
        server.wait(30)


def names(client: httpx.Client, path: str, enough) -> list:
    """Ask until the answer is enough."""
    end, answer = monotonic() + SECONDS, None
    while monotonic() < end:
        try:
            answer = client.get(path).raise_for_status().json()
        except httpx.HTTPError as error:
            answer = error
        else:
            if enough(answer):
                return answer
        sleep(0.2)
    raise AssertionError(f"{path}: {answer}")


def test_reports_appear_change_and_go_without_a_restart(home, spec, frame, ui):
    path = f"projects/{workspace.project_id(spec)}/reports"

    def save(at: datetime, name: str, shift: float = 0.0) -> None:
        reports.run(Project(home, spec), frame(seed=1), frame(shift=shift), at=at, name=name)

    save(AT, "r1")
    names(ui, path, lambda found: [one["name"] for one in found] == ["r1"])
    save(AT + timedelta(days=7), "r2")
    names(ui, path, lambda found: {one["name"] for one in found} == {"r1", "r2"})
    save(AT, "r1", shift=2.0)
    names(ui, path, lambda found: {"notice"} in [set(one["tags"]) for one in found if one["name"] == "r1"])
    save(AT + timedelta(days=33), "r3")
    names(ui, path, lambda found: {one["name"] for one in found} == {"r2", "r3"})
