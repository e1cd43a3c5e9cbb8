"""Every acknowledged row is there once, however often the prediction service is killed while rows are pushed."""

import json
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

import httpx
import pytest

from stack.core import migrations
from stack.core import settings as core_settings
from stack.core.settings import Settings
from stack.project import Project
from stack.specification import specs
from tests.polling import eventually
from tests.stack.authoring.scaffolds import Folder, sales
from tests.stack.sources.test_push import CLOCK, PUSHED, SOURCE, row
from tests.stacks import free_ports, shell

KILLS, CLIENTS, ROWS = 20, 4, 50


class Client(Thread):
    """Pushes rows with new keys; a request without an answer is sent again."""

    def __init__(self, url: str, first: int, ended: Event) -> None:
        super().__init__(daemon=True)
        self.url, self.key, self.ended = url, first, ended
        self.acknowledged: list[int] = []

    def run(self) -> None:
        with httpx.Client(trust_env=False, timeout=60) as http:
            while not self.ended.is_set():
                rows = [json.loads(row(self.key + number)) for number in range(ROWS)]
                try:
                    answer = http.post(self.url, json={"rows": rows})
                except httpx.HTTPError:
                    time.sleep(0.1)
                    continue
                if answer.is_success:
                    assert answer.json() == {"accepted": ROWS, "refused": []}
                    self.acknowledged += range(self.key, self.key + ROWS)
                    self.key += ROWS


@pytest.mark.slow
def test_acknowledged_rows_are_there_once_after_kills(tmp_path, monkeypatch):
    (port,), chance, ended = free_ports(1), random.Random(5), Event()
    folder = Folder(tmp_path, monkeypatch)
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    folder.change("projects/declared/project.yaml", SOURCE, PUSHED)
    folder.change("projects/declared/project.yaml", CLOCK, "clock: {start: 2024-01-01T00:00:00Z}")
    home = Settings(home=tmp_path / "home", workspace=tmp_path, prediction_port=port, mlflow_port=free_ports(1)[0])
    migrations.upgrade(home.state_database)
    command = [sys.executable, "-m", "services.prediction"]
    environment = shell(home)

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    url = f"http://127.0.0.1:{port}/declared/rows"
    clients = [Client(url, 1_000_000 * number, ended) for number in range(1, CLIENTS + 1)]
    process = start()
    for client in clients:
        client.start()
    for _ in range(KILLS):
        before = sum(len(client.acknowledged) for client in clients)
        eventually(lambda before=before: sum(len(client.acknowledged) for client in clients) > before)
        time.sleep(chance.random())  # a random moment under load, not a wait for anything
        process.send_signal(signal.SIGKILL)
        process.wait()
        process = start()
    ended.set()
    for client in clients:
        client.join()
    process.kill()
    process.wait()

    with core_settings.using(home):
        project = Project(home, specs.load("declared"))
        rows = project.source.fetch(project.spec.clock.start, datetime.now(UTC) + timedelta(seconds=1))["rows"]
    acknowledged = {number for client in clients for number in client.acknowledged}
    assert len(acknowledged) >= KILLS * ROWS and acknowledged <= {*rows["order_no"]}
    assert rows["order_no"].is_unique
