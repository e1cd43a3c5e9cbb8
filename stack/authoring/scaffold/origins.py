"""Where the rows of a new project come from: a file, a folder, or an address; and all of them, to be looked at.

A broker has no past: messages are listened to for a while, and are the first rows of the project.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from pandas import DataFrame
from pydantic import TypeAdapter, ValidationError

from stack import sources
from stack.authoring.scaffold import files, headers
from stack.authoring.scaffold.wishes import Wishes
from stack.core import secrets
from stack.core.database import engine
from stack.core.errors import StackError
from stack.core.settings import settings
from stack.sources import AVAILABLE_AT, Query, inbox, mqtt, storage, tables
from stack.sources import folder as of_folder
from stack.sources.home_assistant import END
from stack.specification.addresses import require_no_password
from stack.specification.sources import File, Folder, Source

DATABASES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite", "mssql", "oracle")
FILES = re.compile(r"\.(csv|tsv|txt|dat|data|parquet|xlsx|xlsm|json|jsonl|ndjson)(\.gz)?$")
WORKBOOKS = (".xlsx", ".xlsm")
READ = (*WORKBOOKS, ".json", ".jsonl", ".ndjson")
"""Endings of files that are read without looking how they are written."""
PACKED = (".gz", ".bz2", ".xz", ".zst")
NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
YEAR, DAY = timedelta(days=365), timedelta(days=1)
"""What is read of a source that has no end, and of what has just come."""
MOST = 500_000
"""Rows of a database that are looked at."""
ENOUGH, LISTEN_SECONDS = 200, 300.0
"""So many messages of a broker are listened to, or for so long."""


@dataclass(frozen=True)
class Origin:
    """A place, as the section ``source`` names it, and its rows."""

    name: str
    section: dict[str, Any]
    table: DataFrame
    copied: Path | None = None
    """A file that becomes part of the project."""
    heard: Sequence[mqtt.Heard] = ()
    """Messages that become its first rows."""

    def keep(self, name: str) -> None:
        """Put what was heard into the inbox of the project that was written."""
        written = [{"topic": one.topic, "payload": one.payload, "packet": one.packet} for one in self.heard]
        if written:
            with engine(settings().state_database).begin() as connection:
                inbox.add(settings(), connection, name, written)


def discard(name: str) -> None:
    """Take what was heard out of the inbox again, as the project is not kept."""
    inbox.clear(settings(), name)


def of(place: str, folder: Path, wishes: Wishes, now: datetime) -> Origin:
    """Read the rows of a file, a folder, a URL, or a key of ``.env`` that holds one.

    Args:
        folder: of the project, which there is not yet.

    Raises:
        StackError: the place cannot be reached or read, or its kind is unknown; it is the key FROM's.
    """
    in_env = NAME.fullmatch(place) and not Path(place).exists()
    address = secrets.resolve(f"${{{place}}}", "FROM") if in_env else place
    if "://" not in address:
        return _on_this_machine(Path(address).expanduser(), folder, now, wishes)
    if not in_env:
        require_no_password(address)
    if address.startswith("mqtt://"):
        _with_missing({}, "mqtt", wishes)
        return _of_broker(address, folder)
    section = _section(address, f"${{{place}}}" if in_env else place, wishes)
    name = section.get("table") or section.get("url") or section["path"]
    return Origin(str(name), *_read(section, folder, now, wishes))


def _on_this_machine(path: Path, folder: Path, now: datetime, wishes: Wishes) -> Origin:
    if path.is_dir():
        return Origin(str(path), *_read({"kind": "folder", "path": str(path.absolute())}, folder, now, wishes))
    if not {*READ} & {*path.suffixes[-2:]}:
        source = files.Source.of(path)
        kind = source.reader.removeprefix("read_")
        source = replace(source, options=_with_missing(source.options, kind, wishes))
        options = {"options": source.options} if source.options else {}
        return Origin(path.name, {"path": f"data/{path.name}"} | options, source.read(path), path)
    section, table = _read({"path": str(path.absolute())}, folder, now, wishes)
    return Origin(path.name, section | {"path": f"data/{path.name}"}, table, path)


def _of_broker(address: str, folder: Path) -> Origin:
    """Listen to ``mqtt://[user:${MQTT_PASSWORD}@]host[:port]/topic``."""
    place = urlsplit(address.replace("#", "%23"))
    if not place.hostname or not (topic := unquote(place.path).lstrip("/")):
        todo = "name both: FROM=mqtt://nas/zigbee2mqtt/+"
        raise StackError("FROM", found=address, expected="a broker and a topic", todo=todo)
    login = {"username": place.username, "password": unquote(place.password or "")}
    section: dict[str, Any] = {"kind": "mqtt", "host": place.hostname, "topics": [topic]}
    section |= {"port": place.port} if place.port else {}
    section |= {name: value for name, value in login.items() if value}
    heard = mqtt.listen(_validated(section), folder, ENOUGH, LISTEN_SECONDS)
    if len(heard) < files.LEAST:
        found, expected = f"{len(heard)} messages in {LISTEN_SECONDS:.0f} s", f"at least {files.LEAST} to learn from"
        todo = "name a topic with more, or write project.yaml by hand (docs/sources.md) and run it when they have come"
        raise StackError("FROM", found=found, expected=expected, todo=todo)
    return Origin(address, section, mqtt.rows(heard).drop(columns=AVAILABLE_AT), heard=heard)


def _section(address: str, written: str, wishes: Wishes) -> dict[str, Any]:
    """Return the section ``source`` of an address."""
    scheme, place = address.partition("://")[0].partition("+")[0], urlsplit(address)
    if scheme in DATABASES:
        if not wishes.table:
            todo = "name it: make new NAME=... FROM=... TABLE=sales, or TABLE='SELECT ...'"
            raise StackError("TABLE", found="nothing", expected="a table, view or query of the database", todo=todo)
        return {"kind": "sql", "url": written, "query" if " " in wishes.table else "table": wishes.table}
    if scheme == "homeassistant":
        if not wishes.sensor:
            todo = "name it: SENSOR=sensor.power, or several: SENSOR=sensor.power,sensor.outdoor_temperature"
            raise StackError("SENSOR", found="nothing", expected="sensors of Home Assistant", todo=todo)
        sensors = {name.partition(".")[2].partition(" ")[0]: name.strip() for name in wishes.sensor.split(",")}
        url = f"http://{place.netloc}"
        return {"kind": "home_assistant", "url": url, "token": "${HOME_ASSISTANT_TOKEN}", "sensors": sensors}
    if scheme in ("http", "https") and not FILES.search(place.path):
        return {"kind": "http", "url": written}
    if scheme in ("http", "https", "s3", "file"):
        return {"path": written}
    known = ", ".join(f"{one}://" for one in ("http", "s3", *DATABASES[:4], "homeassistant", "mqtt"))
    raise StackError("FROM", found=f"{scheme}://", expected=f"a file, a folder, {known}", todo="correct the address")


def _read(section: dict[str, Any], folder: Path, now: datetime, wishes: Wishes) -> tuple[dict[str, Any], DataFrame]:
    """Return a section, with how its files are written, and all rows and columns of its source."""
    source = _validated(section)
    if isinstance(source, File | Folder):
        section = section | _files(source, folder, wishes)
        source = _validated(section)
    else:
        _with_missing({}, source.kind, wishes)
    query = Query([], None, now - YEAR, now + DAY, most=MOST)
    beside = [AVAILABLE_AT, *([END] if source.kind == "home_assistant" else [])]
    table = sources.read(source, folder, query).drop(columns=beside, errors="ignore")
    files.require_rows(table, str(section.get("url") or section.get("path")))
    return section, table


def _files(source: File | Folder, folder: Path, wishes: Wishes) -> dict[str, Any]:
    """Return how pandas reads a file, or the newest one of a folder, and up to which file a folder holds the past."""
    system, path = storage.locate(source, folder)
    if isinstance(source, File):
        options = _options(source, folder, system, path, wishes)
        return {"options": options} if options else {}
    system, complete = of_folder.complete(source, folder)
    if not complete:
        return {}
    options = _options(source, folder, system, complete[-1].path, wishes)
    return ({"options": options} if options else {}) | {"history": f"{complete[-1].available_at:%Y-%m-%dT%H:%M:%SZ}"}


def _options(source: File | Folder, folder: Path, system: Any, path: str, wishes: Wishes) -> dict[str, Any]:
    """Return the arguments with which pandas reads a file."""
    name = PurePosixPath(urlsplit(path).path if "://" in path else path)
    kind = tables.format_of(source, str(name))
    sniffed = kind == "excel" or (kind == "csv" and not files.TEXTS.isdisjoint(name.suffixes))
    if not sniffed or (storage.is_local(system) and not Path(path).is_file()):  # reading it says what is wrong
        return _with_missing({}, kind, wishes)
    with TemporaryDirectory() as place, storage.explained(source, folder):
        packed, file = name.suffix in PACKED, Path(path)
        if packed or not storage.is_local(system):
            file = Path(place, name.stem if packed else name.name)
            with storage.opened(system, path) as content, file.open("wb") as copy:
                shutil.copyfileobj(content, copy)
        if kind == "csv":
            return _with_missing(files.Source.of(file).options, kind, wishes)
        with tables.explained("excel", str(name)):
            return _with_missing(headers.of_workbook(file, files.LEAST), kind, wishes)


def _with_missing(options: dict[str, Any], kind: str, wishes: Wishes) -> dict[str, Any]:
    """Return the arguments of pandas' reader with the values that the user says stand for a missing one."""
    if not wishes.absent:
        return options
    if kind not in ("csv", "excel"):
        todo = "leave such values out where the rows come from"
        raise StackError("MISSING", found=f"rows of {kind}", expected="a CSV file or a workbook", todo=todo)
    return options | {"na_values": sorted({*options.get("na_values", []), *wishes.absent})}


def _validated(section: dict[str, Any]) -> Any:
    """Return a section ``source`` as its kind's class."""
    try:
        return TypeAdapter(Source).validate_python(section)
    except ValidationError as error:
        (detail, *_) = error.errors()
        place = ".".join(map(str, detail["loc"]))
        found = "a password" if place.endswith("password") else str(detail["input"])
        raise StackError(f"FROM, {place}", found=found, expected=detail["msg"]) from None
