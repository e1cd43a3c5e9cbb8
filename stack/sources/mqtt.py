"""Messages of an MQTT broker. The subscriber keeps them in the state database; a read takes them from there."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
from sqlalchemy import Connection, Row, func, select

from stack.core import problems, secrets
from stack.core.database import in_utc, messages
from stack.core.errors import StackError, UnavailableError
from stack.core.settings import Settings, settings
from stack.sources import AVAILABLE_AT, Query, inbox, key, require, tables
from stack.specification.sources import Mqtt

RECEIVED_AT = "received_at"
RECENT = 1000
"""Messages, more than a broker sends without an acknowledgement, among which one that is sent again is looked for."""
CHECK = "mqtt-"
"""Beginning of the name under which the problem of a subscription is recorded."""
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class Heard:
    """A message that was listened to, with the names that the state database has."""

    topic: str
    payload: bytes
    received_at: datetime
    packet: int = 0


def client(source: Mqtt, folder: Path, name: str, **options: Any) -> Any:
    """Return a client with the login of a source, not yet connected.

    Args:
        name: of its session; empty for one that the broker forgets.
        options: of paho's ``Client``.
    """
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    made = Client(CallbackAPIVersion.VERSION2, name, **options)
    made.connect_timeout = TIMEOUT_SECONDS
    if source.tls:
        made.tls_set()
    if source.username:
        password = secrets.resolve(source.password, key(folder, "password"))
        made.username_pw_set(secrets.resolve(source.username, key(folder, "username")), password)
    return made


def require_accepted(folder: Path, reason: Any) -> None:
    """Raise a StackError where a broker refuses the login."""
    if reason.is_failure:
        todo = "correct source.username and source.password, or the broker's rules"
        raise StackError(key(folder, "host"), found=str(reason), expected="a login it accepts", todo=todo)


def listen(source: Mqtt, folder: Path, enough: int, seconds: float) -> list[Heard]:
    """Return the messages that come, until there are enough or the time is over; none that a topic retains.

    Raises:
        UnavailableError: the broker cannot be reached.
        StackError: it refuses the login.
    """
    heard: list[Heard] = []

    def connected(client: Any, _: Any, __: Any, reason: Any, ___: Any) -> None:
        require_accepted(folder, reason)
        client.subscribe([(topic, 0) for topic in source.topics])

    def came(_: Any, __: Any, message: Any) -> None:
        if not message.retain:
            heard.append(Heard(message.topic, message.payload, datetime.now(UTC)))

    one, end = client(source, folder, ""), time.monotonic() + seconds
    one.on_connect, one.on_message = connected, came
    try:
        one.connect(source.host, source.port)
        while len(heard) < enough and time.monotonic() < end:
            if reason := one.loop(timeout=1.0):
                raise ConnectionError(f"the connection is lost: {reason.name}")
    except OSError as error:
        found, expected = f"{source.host}:{source.port}: {error}", "a broker that answers"
        raise UnavailableError(key(folder, "host"), found=found, expected=expected, todo="correct it") from None
    finally:
        one.disconnect()
    return heard[:enough]


def read(source: Mqtt, folder: Path, query: Query) -> pd.DataFrame:
    """Return the messages that became known in the window, in the order in which they came; all without time."""
    recent = inbox.newest(settings(), folder.name, RECENT)
    if not recent:
        raise _nothing(source, folder)
    since = query.since if query.time is not None else inbox.FIRST
    found = inbox.read(settings(), folder.name, since, query.until)
    require(key(folder, "topics"), query.columns, [*rows(recent), *rows(found)])
    return rows(found).reindex(columns=[*query.columns, AVAILABLE_AT])


def ingested(source: Mqtt, folder: Path, query: Query) -> None:
    """Delete messages that the lake has had for long; without time, all are read each time."""
    kept = timedelta(days=settings().keep_days) if query.time is not None else None
    inbox.mark_ingested(settings(), folder.name, query.until, kept)


def keep(of: Settings, connection: Connection, project: str, message: Any) -> None:
    """Write a message, but for one that is written already: the broker sends one again that it has no answer to."""
    row = {"topic": message.topic, "payload": message.payload, "packet": message.mid}
    if not (message.dup and _is_kept(connection, row | {"project": project})):
        inbox.add(of, connection, project, [row])


def _is_kept(connection: Connection, row: dict[str, Any]) -> bool:
    newest = select(func.max(messages.c.number)).where(messages.c.project == row["project"]).scalar_subquery()
    same = [messages.c[name] == value for name, value in row.items()]
    found = select(messages.c.number).where(*same, messages.c.number > newest - RECENT)
    return connection.execute(found).first() is not None


def rows(found: Iterable[Row[Any] | Heard]) -> pd.DataFrame:
    """Return messages with a column for each level of the topic and each key of the payload."""
    records = []
    for message in found:
        levels = {f"topic.{number}": level for number, level in enumerate(message.topic.split("/"))}
        at = pd.Timestamp(in_utc(message.received_at))
        records.append(_values(message.payload) | levels | {"topic": message.topic, RECEIVED_AT: at})
    table = tables.flat(pd.DataFrame.from_records(records))
    return table.assign(**{AVAILABLE_AT: table[RECEIVED_AT]}) if records else table


def _values(payload: bytes) -> dict[str, Any]:
    text = payload.decode(errors="replace")
    try:
        content = json.loads(text)
    except ValueError:
        return {"value": text}
    return content if isinstance(content, dict) else {"value": text if isinstance(content, list) else content}


def _nothing(source: Mqtt, folder: Path) -> StackError:
    topics, name = ", ".join(source.topics), f"{CHECK}{folder.name}"
    recorded = [problem.text for check, problem in problems.recorded(settings()) if check == name]
    found = "; ".join(recorded) or f"no message on {topics} yet"
    todo = "wait for the first one while the stack runs (`make up`), or correct source.topics"
    return StackError(key(folder, "topics"), found=found, expected="messages since the project was made", todo=todo)
