"""Where other programs put rows: a source of every kind, with the server that holds it."""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from websockets.exceptions import WebSocketException

from stack.core.clock import Clock
from stack.core.settings import Settings
from stack.sources import push
from stack.sources.home_assistant import SETTLED
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stack.publishing.servers import listens
from tests.stack.sources import hass
from tests.stack.sources.ingestion import NAME
from tests.stack.sources.processes import Postgres, Server
from tests.stack.sources.test_influxdb import Influx
from tests.stack.sources.test_mqtt import Mosquitto
from tests.stacks import free_ports

LATE = {"settled": "PT10S"}
"""Rows are in these sources so soon after their instant."""
UNSAVED = 3.0
"""Seconds in which a broker has written down what it has acknowledged."""
SECRETS = f"SALES_PASSWORD='{Postgres.password}'\nINFLUX_PASSWORD=secret\nS3_KEY=key\nS3_SECRET=secret\n"
AWAY = (httpx.HTTPError, SQLAlchemyError, BotoCoreError, ClientError, WebSocketException, OSError)
"""What a put raises while its server is away."""
Row = dict[str, Any]


class Place:
    """A place that a program puts rows to, and the section `source` that reads them from it."""

    server: Server | None = None
    """What can be killed, and loses nothing by it that it has acknowledged."""
    time = "at"
    """Name of the column with the instant."""
    room = "string"
    """Type of the column `room`."""
    clock = "wall"
    pause = 0.1
    """Longest pause between two puts, in seconds."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.start = datetime.now(UTC).replace(microsecond=0)
        self.source: dict[str, Any] = {}
        self.open()

    def open(self) -> None:
        """Prepare it before the server is started."""

    def prepare(self) -> None:
        """Prepare the server, which runs."""

    def put(self, rows: list[Row]) -> None:
        """Put rows there; on an exception they are put again, and yet are there once."""
        raise NotImplementedError

    def settle(self, outages: list[tuple[float, float]]) -> None:
        """Put again what a server may have lost of that which came about when it was killed."""

    def close(self) -> None:
        """Stop what is not killed."""


class File(Place):
    def open(self):
        self.path = self.folder / "rows.jsonl"
        self.path.touch()
        self.source = {"kind": "file", "path": str(self.path), "known_after": "PT10S"}

    def put(self, rows):
        with self.path.open("ab", buffering=0) as file:
            file.write(b"".join(json.dumps(row).encode() + b"\n" for row in rows))


class Folder(Place):
    pause = 0.5

    def open(self):
        (self.folder / "drop").mkdir()
        self.source = {"kind": "folder", "path": str(self.folder / "drop"), "settled": "PT1S"}

    def put(self, rows):
        (self.folder / "drop" / f"{rows[0]['number']}.json").write_text(json.dumps(rows))


class S3(Place):
    pause = 0.5

    def open(self):
        (port,) = free_ports(1)
        (self.folder / "objects").mkdir()
        command = [sys.executable, Path(__file__).with_name("objects.py"), str(port), self.folder / "objects"]
        self.server = Server(command, lambda: listens(port))
        url = f"http://127.0.0.1:{port}"
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        once = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=PATIENCE_SECONDS)
        self.client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", config=once, **keys)
        storage = {"endpoint": url, "access_key": "${S3_KEY}", "secret_key": "${S3_SECRET}"}
        self.source = {"kind": "folder", "path": "s3://home/drop", "settled": "PT10S", "storage": storage}

    def put(self, rows):
        name = f"drop/{rows[0]['number']}.json"
        if not self.client.list_objects_v2(Bucket="home", Prefix=name)["KeyCount"]:
            self.client.put_object(Bucket="home", Key=name, Body=json.dumps(rows).encode())


class Http(File):
    def open(self):
        super().open()
        (port,) = free_ports(1)
        command = [sys.executable, str(Path(__file__).with_name("rows.py")), str(port), str(self.path)]
        self.server = Server(command, lambda: listens(port))
        url = f"http://127.0.0.1:{port}/rows?since={{since}}&until={{until}}"
        self.source = {"kind": "http", "url": url, **LATE}


class Sql(Place):
    def open(self):
        self.server = Postgres(self.folder)
        self.source = {"kind": "sql", "url": self.server.url, "table": "readings", **LATE}

    def prepare(self):
        with self.server.engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE readings (at timestamptz, number int PRIMARY KEY, room text, value float)")
            )

    def put(self, rows):
        insert = "INSERT INTO readings VALUES (:at, :number, :room, :value) ON CONFLICT DO NOTHING"
        with self.server.engine.begin() as connection:
            connection.execute(text(insert), rows)

    def close(self):
        self.server.engine.dispose()


class Influxdb(Place):
    time = "time"

    def open(self):
        self.server = Influx(self.folder)
        login = {"username": "me", "password": "${INFLUX_PASSWORD}"}
        self.source = {"kind": "influxdb", "url": self.server.url, "database": "home", "measurement": "readings"}
        self.source |= login | LATE

    def prepare(self):
        self.server.ask("CREATE USER me WITH PASSWORD 'secret' WITH ALL PRIVILEGES")
        self.server.login = {"u": "me", "p": "secret"}
        self.server.ask('CREATE DATABASE "home"')

    def put(self, rows):
        lines = [
            f"readings,room={row['room']} number={row['number']}i,value={row['value']} "
            f"{round(datetime.fromisoformat(row['at']).timestamp() * 1e6)}000"
            for row in rows
        ]
        words = {"params": {"db": "home", **self.server.login}, "content": "\n".join(lines)}
        httpx.post(f"{self.server.url}/write", **words).raise_for_status()


class Mqtt(Place):
    """A broker acknowledges before it has kept a message: when it was killed, the last ones are sent again."""

    def open(self):
        self.server = Mosquitto(self.folder)
        self.source = {"kind": "mqtt", "host": "127.0.0.1", "port": self.server.port, "topics": ["readings/#"]}
        self.client = Client(CallbackAPIVersion.VERSION2, "sender", clean_session=False)
        self.client.reconnect_delay_set(1, 1)
        self.client.on_publish = lambda _, __, mid, *___: self.acknowledged.add(mid)
        self.acknowledged: set[int] = set()
        self.sent: list[tuple[float, Row]] = []

    def prepare(self):
        self._subscribe()
        self.client.connect("127.0.0.1", self.server.port)
        self.client.loop_start()

    def _subscribe(self):
        """Let the broker keep messages for the stack from now on, as after its first start."""
        client, done = Client(CallbackAPIVersion.VERSION2, f"{self.settings.name}-{NAME}-source", False), []
        client.on_connect = lambda *_: client.subscribe("readings/#", qos=1)
        client.on_subscribe = lambda *_: done.append(1)
        client.connect("127.0.0.1", self.server.port)
        while not done:
            client.loop(1)
        client.disconnect()
        client.loop(1)

    def put(self, rows):
        for row in rows:
            self._send(row)
            self.sent.append((time.monotonic(), row))

    def _send(self, row):
        mid = self.client.publish("readings/hall", json.dumps(row), qos=1 + row["number"] % 2).mid
        eventually(lambda: mid in self.acknowledged)
        self.acknowledged.discard(mid)

    def settle(self, outages):
        for at, row in self.sent:
            if any(killed - UNSAVED <= at <= started + UNSAVED for killed, started in outages):
                self._send(row)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class HomeAssistant(Place):
    """Long-term statistics, an hour for each row, on a clock that goes on once Home Assistant has written them down."""

    time, room, clock = "time", "number", "replay"

    def open(self):
        self.start = datetime(2024, 1, 1, tzinfo=UTC)
        self.server = hass.HomeAssistant(self.folder)
        sensors = {name: f"sensor.{name}" for name in ("number", "room", "value")}
        self.source = {"kind": "home_assistant", "url": self.server.url, "token": "${HA_TOKEN}", "sensors": sensors}
        with (self.settings.workspace / ".env").open("a") as env:
            env.write(f"HA_TOKEN={self.server.token}\n")

    def put(self, rows):
        first = self.start + timedelta(hours=rows[0]["number"])
        for name in self.source["sensors"]:
            values = [1.0 if name == "room" else float(row[name]) for row in rows]
            statistics = [{"mean": value, "min": value, "max": value} for value in values]
            self.server.import_statistics(f"sensor.{name}", first, statistics, meter=False)
        clock = Clock(self.settings.state_database, NAME, "replay", self.start)
        clock.advance(first + timedelta(hours=len(rows)) + SETTLED)


class Push(Place):
    """The inbox to which the prediction service adds; how it is killed, tests/end_to_end/test_pushed_rows.py shows."""

    def open(self):
        self.source = {"kind": "push", "key": ["number"]}

    def put(self, rows):
        push.keep(self.settings, NAME, [json.dumps(row).encode() for row in rows])
