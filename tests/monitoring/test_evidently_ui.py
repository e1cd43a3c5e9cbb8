"""A running Evidently UI sees what the monitoring flow saves, and survives it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring import reports, workspace
from stack.project import Project
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports

pytestmark = pytest.mark.services
AT = datetime(2013, 3, 15, tzinfo=UTC)


@pytest.fixture
def ui(home) -> Iterator[httpx.Client]:
    """Evidently's UI on a workspace that is still empty."""
    (port,) = free_ports(1)
    home.reports.mkdir(parents=True)
    command = [Path(sys.executable).with_name("evidently"), "ui", "--workspace", home.reports, "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | {"DO_NOT_TRACK": "1"}, stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=PATIENCE_SECONDS, trust_env=False) as client:
            answer(client, "version", lambda _: True)
            yield client
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def answer(client: httpx.Client, path: str, expected: Callable[[Any], bool]) -> None:
    """Ask until the answer is the expected one."""
    eventually(lambda: expected(client.get(path).raise_for_status().json()))


def test_reports_appear_change_and_go_without_a_restart(home, spec, frame, ui):
    path = f"projects/{workspace.project_id(spec)}/reports"

    def save(at: datetime, name: str, shift: float = 0.0) -> None:
        reports.run(Project(home, spec), frame(seed=1), frame(shift=shift), at=at, name=name)

    save(AT, "r1")
    answer(ui, path, lambda rows: [row["name"] for row in rows] == ["r1"])
    save(AT + timedelta(days=7), "r2")
    answer(ui, path, lambda rows: {row["name"] for row in rows} == {"r1", "r2"})
    save(AT, "r1", shift=2.0)
    answer(ui, path, lambda rows: {"notice"} in [set(row["tags"]) for row in rows if row["name"] == "r1"])
    for week in (2, 3, 4):
        save(AT + timedelta(weeks=week), f"r{week + 1}")
    answer(ui, path, lambda rows: {row["name"] for row in rows} == {"r1", "r2", "r3", "r4", "r5"})
    save(AT + timedelta(days=33), "r6")
    answer(ui, path, lambda rows: {row["name"] for row in rows} == {"r2", "r3", "r4", "r5", "r6"})
