"""Dumps of the databases, one way a kind of server; the name of a kind is SQLAlchemy's."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import create_engine, inspect, make_url, text

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.archive import Counts


class Sqlite:
    """SQLite's online backup: https://www.sqlite.org/backup.html."""

    def exists(self, url: str) -> bool:
        """Return whether there is a file to dump."""
        return _file(url).exists()

    def size(self, url: str) -> int:
        """Bytes of the file and of its write-ahead log."""
        return sum(
            path.stat().st_size
            for path in (_file(url), _file(url).with_name(f"{_file(url).name}-wal"))
            if path.exists()
        )

    def dump(self, url: str, into: Path) -> None:
        """Copy all pages in one step, which a writer in WAL mode neither disturbs nor waits for; then check them."""
        live = f"{_file(url).as_uri()}?mode=rw"
        with closing(sqlite3.connect(live, uri=True, timeout=30)) as source, closing(sqlite3.connect(into)) as target:
            source.backup(target, pages=-1)
            # One file: else the copy's own log would hold a part of it.
            target.execute("PRAGMA journal_mode=DELETE")
            verdict = target.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise StackError(
                str(_file(url)),
                found=f"a damaged database: {verdict}",
                expected="one that SQLite's quick_check accepts",
                todo="restore it from an older archive, or repair it with `sqlite3 FILE .recover`",
            )

    def load(self, dumped: Path, url: str) -> None:
        """Move the file into its place; each tool sets the journal mode that it wants when it connects."""
        _file(url).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(dumped, _file(url))


SERVED = ("prefect", "state", "mlflow", "feast")
"""The databases of the server in containers, in the order of `urls`; Redis there is filled from the feature tables."""
KINDS: Mapping[str, Sqlite] = {"sqlite": Sqlite()}


def urls(settings: Settings) -> dict[str, str]:
    """Return the databases by name, in the order in which they must be dumped.

    Predictions name model versions, and runs of flows name both: what is referred to is dumped after what refers to it.
    """
    online = {"online": f"sqlite:///{settings.online_store}"} if settings.online_store_type == "sqlite" else {}
    return {
        "prefect": settings.prefect_database,
        "state": settings.state_database,
        "mlflow": settings.mlflow_database,
        "feast": settings.feast_registry,
        **online,
    }


class Dumps(NamedTuple):
    """Dumps in a folder, each in a file of its database's name."""

    kinds: dict[str, str]
    counts: Counts


def dump(settings: Settings, folder: Path) -> Dumps:
    """Dump every database into a folder, in their order."""
    kinds = {}
    for name, url in urls(settings).items():
        if KINDS[kind(url)].exists(url):
            kinds[name] = kind(url)
            KINDS[kind(url)].dump(url, folder / name)
    return Dumps(kinds, counts(f"sqlite:///{folder}/mlflow", f"sqlite:///{folder}/state"))


def size(settings: Settings) -> int:
    """Bytes that the dumps made here take at most; those of a server are compressed, and made elsewhere."""
    named = [(KINDS.get(make_url(url).get_backend_name()), url) for url in urls(settings).values()]
    return sum(one.size(url) for one, url in named if one and one.exists(url))


def kind(url: str) -> str:
    """Return the kind of a database.

    Raises:
        StackError: there is no way to dump it.
    """
    name = make_url(url).get_backend_name()
    if name not in KINDS:
        raise StackError(
            "backup",
            found=f"a database of the kind {name}",
            expected=f"one of {', '.join(KINDS)}, or the stack's own servers",
            todo="dump it with its own tools",
        )
    return name


def counts(mlflow: str, state: str) -> Counts:
    """Count what a user would miss first.

    Args:
        mlflow: URL of MLflow's database, or of its dump.
        state: URL of the state database, or of its dump.
    """
    champions = _rows(mlflow, "registered_model_aliases", "SELECT name, version FROM {} WHERE alias = 'champion'")
    runs = _rows(mlflow, "runs", "SELECT count(*) FROM {}")
    predictions = _rows(state, "predictions", "SELECT count(*) FROM {}")
    return Counts(
        champions={str(name): str(version) for name, version in champions},
        runs=runs[0][0] if runs else 0,
        predictions=predictions[0][0] if predictions else 0,
    )


def _rows(url: str, table: str, query: str) -> list[tuple[object, ...]]:
    """Ask a table that may not have been made yet."""
    if not KINDS[kind(url)].exists(url):
        return []
    engine = create_engine(url)
    try:
        if not inspect(engine).has_table(table):
            return []
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query.format(table)))]
    finally:
        engine.dispose()


def _file(url: str) -> Path:
    return Path(str(make_url(url).database))
