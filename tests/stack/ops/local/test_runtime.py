"""The local runtime with a real supervisord and small real servers."""

import json
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
import yaml

from stack.core.errors import StackError
from stack.core.settings import load
from stack.ops import probe, versions
from stack.ops.local import processes, supervisor
from stack.ops.local.runtime import LocalRuntime
from stack.ops.local.supervisor import Supervisor
from stack.ops.status import Row, table
from tests.polling import eventually
from tests.stacks import free_ports

# A server in a session of its own below a parent that only waits: what BentoML and `mlflow server` do.
SERVER = """
import http.server, os, subprocess, sys
if len(sys.argv) == 2:
    sys.exit(subprocess.call([sys.executable, __file__, sys.argv[1], "child"], start_new_session=True))
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


@pytest.fixture
def stack(tmp_path):
    """A stack of two servers and a one-shot service; `write` changes its services."""
    stack = Stack(tmp_path)
    yield stack
    stack.runtime.down()
    assert processes.by_service(supervisor.address(stack.settings)) == {}


class Stack:
    def __init__(self, folder: Path) -> None:
        self.settings = load({"STACK_HOME": str(folder / "home")}, Path("/dev/null"))
        self.file = folder / "compose.yml"
        self.runtime = LocalRuntime(self.settings, self.file)
        self.script = folder / "server.py"
        self.script.write_text(SERVER)
        self.ports = free_ports(2)
        self.reports: list[str] = []
        self.write(first=self.server(0, needs={"once": "service_completed_successfully"}), second=self.server(1))

    def server(self, index: int, *, needs: dict[str, str] | None = None, **environment: str) -> dict:
        port = self.ports[index]
        return {
            "build": ".",
            "command": [sys.executable, str(self.script), str(port)],
            "environment": environment,
            "restart": "unless-stopped",
            "ports": [f"127.0.0.1:{port}:{port}"],
            "depends_on": {name: {"condition": condition} for name, condition in (needs or {}).items()},
            "healthcheck": {
                "test": ["CMD", "python", "-m", "stack.ops.probe", f"http://127.0.0.1:{port}/"],
                "interval": "1s",
                "timeout": "2s",
                "retries": 3,
                "start_period": "10s",
            },
        }

    def write(self, once: str = "print('done')", **servers: dict) -> None:
        one_shot = {"build": ".", "command": [sys.executable, "-c", once], "restart": "no"}
        self.file.write_text(yaml.safe_dump({"services": {"once": one_shot} | servers}))

    def up(self) -> dict[str, int]:
        self.runtime.up(self.reports.append)
        return self.pids()

    def pids(self) -> dict[str, int]:
        return {name: state.pid for name, state in Supervisor(self.settings).states().items() if state.pid}

    def rows(self) -> dict[str, Row]:
        return {row.name: row for row in self.runtime.status()}

    def answers(self, index: int) -> bool:
        return probe.ask(f"http://127.0.0.1:{self.ports[index]}/") is None


def test_up_starts_all_in_order_and_down_leaves_nothing(stack):
    stack.up()

    rows = stack.rows()
    assert {name: row.health for name, row in rows.items() if name != "supervisord"} == {
        "once": "done",
        "first": "healthy",
        "second": "healthy",
    }
    services = [line.split()[0] for line in stack.reports]
    assert services.index("once") < services.index("first")
    assert rows["first"].memory > 2**20
    assert "sum" in table(list(rows.values()))

    assert stack.runtime.down() == ["first", "second"]
    assert not stack.answers(0) and not Supervisor(stack.settings).alive()


def test_a_server_that_is_used_starts_first_and_stops_last(stack):
    """The user of a server says when it has stopped, and the server whether it was there to hear it."""
    mark, port = stack.settings.home / "mark", stack.ports[0]
    ask = f"urllib.request.urlopen('http://127.0.0.1:{port}/')"
    user = (
        "import signal, time, urllib.request, sys\n"
        "def stop(*_):\n"
        f"    open({str(mark)!r}, 'w').write(str({ask}.status)); sys.exit()\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "while True: time.sleep(1)\n"
    )
    server = stack.server(0)
    condition = {"first": {"condition": "service_started"}}
    command = {"command": [sys.executable, "-c", user], "ports": [], "depends_on": condition}
    stack.write(first=server, user={**server, **command})

    stack.up()
    stack.runtime.down()

    assert mark.read_text() == "200"


def test_a_second_up_restarts_only_what_changed(stack):
    before = stack.up()
    assert stack.up() == before

    stack.write(first=stack.server(0), second=stack.server(1, LEVEL="100%; # \"quoted\" 'so'"))
    after = stack.up()

    assert after["first"] == before["first"]
    assert after["second"] != before["second"]
    environ = psutil.Process(after["second"]).environ()
    assert environ["LEVEL"] == "100%; # \"quoted\" 'so'"
    assert {row.restarts for row in stack.rows().values()} == {0}


def test_services_are_started_anew_with_changed_code_but_not_by_a_child_of_theirs(stack, monkeypatch):
    before = stack.up()
    monkeypatch.setattr(versions, "served", lambda: "other")
    stack.runtime.apply_changes(stack.reports.append)
    assert stack.pids() == before
    after = stack.up()
    assert not {*after.values()} & {*before.values()} and stack.answers(0) and stack.answers(1)


def test_a_killed_service_comes_back_although_its_child_held_the_port(stack):
    before = stack.up()
    eventually(lambda: Supervisor(stack.settings).states()["first"].status == "RUNNING")
    orphan = psutil.Process(before["first"]).children()[0]

    os.kill(before["first"], signal.SIGKILL)

    eventually(lambda: stack.pids().get("first", before["first"]) != before["first"] and stack.answers(0))
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    row = stack.rows()["first"]
    assert (row.health, row.restarts) == ("healthy", 1)
    assert stack.rows()["second"].restarts == 0


def test_what_a_killed_daemon_left_is_ended_and_started_anew(stack):
    before = stack.up()
    daemon = int((stack.settings.run / "supervisord.pid").read_text())

    os.kill(daemon, signal.SIGKILL)
    eventually(lambda: not Supervisor(stack.settings).alive())
    after = stack.up()

    assert set(after) == set(before) and not set(after.values()) & set(before.values())
    assert {row.health for row in stack.rows().values()} == {"healthy", "done"}


def test_a_one_shot_service_runs_again_only_when_it_changed(stack):
    mark = stack.settings.home / "mark"
    script = f"open({str(mark)!r}, 'a').write('x')"
    stack.write(once=script)
    stack.up()
    stack.up()
    assert mark.read_text() == "x"

    stack.write(once=f"{script};1")
    stack.up()
    assert mark.read_text() == "xx"


def test_what_a_one_shot_service_leaves_out_is_reported(stack):
    stack.write(
        once="from stack.core import notices; notices.emit('left out: birds: projects/birds:\\n  found     nothing')",
        first=stack.server(0),
    )
    stack.up()

    lines = [line.split("once", 1)[1].strip() for line in stack.reports if "once" in line]
    assert lines[:2] == ["left out: birds: projects/birds:", "found     nothing"]
    assert len(lines) == 3


def test_a_service_that_cannot_start_is_named_with_the_end_of_its_log(stack):
    stack.write(once="raise SystemExit('no such table')", first=stack.server(0))

    with pytest.raises(StackError, match=r"(?s)service once.*exit code 1.*no such table.*once\.log"):
        stack.up()


def test_a_taken_port_is_named_with_its_holder(stack):
    stack.write(first=stack.server(0))
    import socket

    with socket.create_server(("127.0.0.1", stack.ports[0])):
        with pytest.raises(StackError, match=rf"service first, port {stack.ports[0]}") as refused:
            stack.up()
        assert f"pid {os.getpid()}" in str(refused.value)


def test_two_stacks_run_side_by_side(stack, tmp_path):
    stack.up()
    (tmp_path / "other").mkdir()
    other = Stack(tmp_path / "other")
    try:
        other.up()
        other.runtime.down()
        assert stack.answers(0) and stack.answers(1) and not other.answers(0)
    finally:
        other.runtime.down()


def test_a_home_with_a_long_path_has_a_socket(tmp_path):
    settings = load({"STACK_HOME": str(tmp_path / ("long" * 40))}, Path("/dev/null"))

    assert len(str(supervisor.socket(settings))) <= supervisor.LONGEST_SOCKET


def test_the_environment_of_services_is_for_the_owner_only(stack):
    stack.up()

    file = supervisor.definition(stack.settings, "first")
    assert json.loads(file.read_text())["command"][1] == str(stack.script)
    assert file.stat().st_mode & 0o077 == 0
    assert stack.settings.run.stat().st_mode & 0o077 == 0


def test_clean_deletes_only_what_a_stack_made(stack, tmp_path):
    foreign = load({"STACK_HOME": str(tmp_path / "photos")}, Path("/dev/null"))
    foreign.home.mkdir()
    (foreign.home / "cat.jpg").touch()

    with pytest.raises(StackError, match="without the stack's version file"):
        LocalRuntime(foreign).clean()

    stack.up()
    stack.runtime.clean()
    assert not stack.settings.home.exists() and not stack.answers(0)
