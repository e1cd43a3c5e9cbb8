"""Real receivers of answers that a test starts, kills and starts again."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports

HOOK = Path(__file__).with_name("hook.py")


class Server:
    """A program that listens on a port of its own, in a process group of its own."""

    def __init__(self, command: list[str], answers: Callable[[], Any], **options: Any) -> None:
        self.command, self.answers, self.options = command, answers, options
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        self.process = subprocess.Popen(self.command, **(quiet | self.options))
        eventually(self.answers, 60)

    def kill(self) -> None:
        """Kill it and its children, without a chance to write anything."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


class Hook(Server):
    """An HTTP server that keeps each answer on its disk before it acknowledges it, by its key once."""

    def __init__(self, folder: Path) -> None:
        (self.port,), self.log = free_ports(1), folder / "received.jsonl"
        super().__init__([sys.executable, str(HOOK), str(self.port), str(self.log)], lambda: listens(self.port))
        self.sink = {"kind": "webhook", "url": f"http://127.0.0.1:{self.port}/answers"}

    def received(self) -> list[str]:
        return [json.loads(line)["prediction_id"] for line in self.log.read_text().splitlines()]


class Postgres(Server):
    """A PostgreSQL server that syncs to its disk."""

    def __init__(self) -> None:
        debian = map(str, Path("/usr/lib/postgresql").glob("*/bin"))
        initdb = shutil.which("initdb", path=os.pathsep.join([os.environ["PATH"], *debian]))
        if not initdb:
            pytest.skip("PostgreSQL is not installed")
        self.folder, user = mkdtemp(), "nobody" if os.geteuid() == 0 else None
        if user:
            shutil.chown(self.folder, user)
        options = {"user": user, "cwd": self.folder}
        data = f"{self.folder}/data"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([initdb, "-D", data, "-U", "me", "-A", "trust"], check=True, **options, **quiet)
        url = f"postgresql+psycopg://me@/postgres?host={self.folder}"
        command = [str(Path(initdb).resolve().with_name("postgres")), "-D", data, "-k", self.folder]
        super().__init__([*command, "-c", "listen_addresses="], self._answers, **options)
        self.sink = {"kind": "sql", "url": url, "table": "answers"}
        self.engine = create_engine(url)

    def _answers(self) -> bool:
        try:
            self.engine.connect().close()
        except SQLAlchemyError:
            return False
        return True

    def received(self) -> list[str]:
        with self.engine.connect() as connection:
            return [*connection.execute(text("SELECT prediction_id FROM answers ORDER BY answered_at")).scalars()]

    def kill(self) -> None:
        super().kill()
        self.engine.dispose()


class Mosquitto(Server):
    """An MQTT broker that keeps its state on each change, and a subscriber with a session of its own."""

    def __init__(self, folder: Path, lines: str = "allow_anonymous true") -> None:
        if not (program := shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")):
            pytest.skip("Mosquitto is not installed")
        (self.port,), config, state = free_ports(1), folder / "mosquitto.conf", folder / "broker"
        state.mkdir()
        if os.geteuid() == 0:
            lines += "\nuser root"
        persistence = f"persistence true\npersistence_location {state}/\nautosave_interval 1\nautosave_on_changes true"
        config.write_text(f"listener {self.port} 127.0.0.1\n{persistence}\n{lines}\nmax_queued_messages 0\n")
        super().__init__([program, "-c", str(config)], lambda: listens(self.port))
        self.sink = {"kind": "mqtt", "host": "127.0.0.1", "port": self.port}
        self.messages: list[tuple[str, Any, bool]] = []

    def subscriber(self, qos: int = 2, **login: str) -> Client:
        """Subscribe to everything from now on; the broker keeps the subscription."""
        client = Client(CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        if login:
            client.username_pw_set(**login)
        client.reconnect_delay_set(1, 1)
        ready: list[Any] = []
        client.on_connect = lambda _, __, flags, *___: flags.session_present or client.subscribe("#", qos)
        client.on_subscribe = lambda *_: ready.append(1)
        client.on_message = lambda _, __, m: self.messages.append((m.topic, m.payload.decode(), m.retain))
        client.connect("127.0.0.1", self.port)
        client.loop_start()
        eventually(lambda: ready, 60)
        return client

    def received(self) -> list[str]:
        answers = [json.loads(payload) for _, payload, _ in list(self.messages) if payload.startswith("{")]
        return [answer["prediction_id"] for answer in answers if "prediction_id" in answer]


class Lines:
    """A file, which nobody kills."""

    def __init__(self, settings: Any, name: str) -> None:
        self.path, self.sink = settings.home / "published" / "toy" / name, {"kind": "file", "path": name}

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def received(self) -> list[str]:
        lines = self.path.read_text().splitlines()
        if self.path.suffix == ".csv":
            return [line.partition(",")[0] for line in lines[1:]]
        return [json.loads(line)["prediction_id"] for line in lines]


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def stopped(server: Server) -> Iterator[Server]:
    """Yield a started server, and kill it afterwards."""
    server.start()
    try:
        yield server
    finally:
        server.kill()
