"""The databases of a PostgreSQL server: dumps by its own tools, which have to be of its version, over the network."""

import os
import subprocess
from pathlib import Path

from sqlalchemy import URL, NullPool, create_engine, make_url, text

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops import databases
from stack.ops.archive import Counts
from stack.ops.databases import SERVED, Dumps

KIND = "postgresql"
CHAMPIONS = "SELECT name, CAST(version AS TEXT) FROM registered_model_aliases WHERE alias = 'champion'"


def used(settings: Settings) -> bool:
    """Return whether the databases are on a server."""
    return make_url(settings.state_database).get_backend_name() == KIND


def dump(settings: Settings, folder: Path) -> Dumps:
    """Dump every database into a folder, in their order."""
    for name, url in _urls(settings).items():
        # The password goes by the environment, which no other user can read.
        place = URL.create("postgresql", url.username, None, url.host, url.port, url.database, url.query)
        words = ("--format=custom", "--no-password", f"--file={folder / name}", f"--dbname={place.render_as_string()}")
        _tool("pg_dump", *words, password=url.password)
    return Dumps(dict.fromkeys(SERVED, KIND), counts(settings))


def check(file: Path) -> None:
    """Refuse a dump that cannot be read whole."""
    _tool("pg_restore", "--file=/dev/null", str(file))


def size(settings: Settings) -> int:
    """Return the bytes of the databases on the server's disk."""
    size = "SELECT pg_database_size(current_database())"
    return sum(int(query(url, size)[0][0]) for url in _urls(settings).values())


def query(url: URL | str, sql: str) -> list[tuple[str | int, ...]]:
    """Return the rows that a database gives, by the driver that is installed for every program."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(sql))]


def counts(settings: Settings) -> Counts:
    """Count what a user would miss first."""
    urls = _urls(settings)
    return Counts(
        champions={str(name): str(version) for name, version in query(urls["mlflow"], CHAMPIONS)},
        runs=query(urls["mlflow"], "SELECT count(*) FROM runs")[0][0],
        predictions=query(urls["state"], "SELECT count(*) FROM predictions")[0][0],
    )


def _urls(settings: Settings) -> dict[str, URL]:
    urls = databases.urls(settings)
    return {name: make_url(urls[name]) for name in SERVED}


def _tool(name: str, *words: str, password: str | None = None) -> None:
    environ = os.environ | {"PGPASSWORD": password or ""}
    try:
        ran = subprocess.run([name, *words], env=environ, capture_output=True, text=True, check=False)
        problem = ran.stderr.strip() if ran.returncode else ""
    except FileNotFoundError:
        problem = "it is not installed"
    if problem:
        raise StackError(name, found=problem, expected="a whole dump", todo="make doctor; make logs SERVICE=postgres")
