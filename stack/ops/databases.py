"""The SQLite databases of a home: dumps by https://www.sqlite.org/backup.html, and what they hold."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import make_url

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.archive import Counts, Manifest

KIND = "sqlite"
"""The name of a kind is SQLAlchemy's."""
SERVED = ("prefect", "state", "mlflow", "feast")
"""The databases of the server in containers, in the order of `urls`; Redis there is filled from the feature tables."""

MADE_ANEW = {"feast"}
"""Not restored, as Feast keeps pickled functions in its registry: the next start applies those of the checkout."""


class Dumps(NamedTuple):
    """Dumps in a folder, each in a file of its database's name."""

    kinds: dict[str, str]
    counts: Counts


def urls(settings: Settings) -> dict[str, str]:
    """Return the databases by name, in the order in which they must be dumped.

    Predictions name model versions, and runs of flows name both: what is referred to is dumped after what refers to it.
    """
    online = {"online": f"sqlite:///{settings.online_store}"} if settings.online_store_type == KIND else {}
    return {
        "prefect": settings.prefect_database,
        "state": settings.state_database,
        "mlflow": settings.mlflow_database,
        "feast": settings.feast_registry,
        **online,
    }


def files(settings: Settings) -> dict[str, Path]:
    """Return the files of the databases that are SQLite's, by name, in the order of `urls`."""
    parsed = {name: make_url(url) for name, url in urls(settings).items()}
    return {name: Path(str(url.database)) for name, url in parsed.items() if url.get_backend_name() == KIND}


def require_sqlite(settings: Settings) -> None:
    """Refuse databases that cannot be dumped here, and name the first one."""
    for url in urls(settings).values():
        if (kind := make_url(url).get_backend_name()) != KIND:
            raise StackError(
                "backup",
                found=f"a database of the kind {kind}",
                expected=f"{KIND}, or the stack's own servers",
                todo="dump it with its own tools",
            )


def dump(settings: Settings, folder: Path) -> Dumps:
    """Dump every database into a folder, in their order."""
    require_sqlite(settings)
    existing = {name: file for name, file in files(settings).items() if file.exists()}
    for name, file in existing.items():
        copy(file, folder / name)
    return Dumps(dict.fromkeys(existing, KIND), counts(folder / "mlflow", folder / "state"))


def copy(file: Path, into: Path) -> None:
    """Copy all pages in one step, which a WAL writer neither disturbs nor waits for; refuse a damaged database."""
    live = f"{file.as_uri()}?mode=rw"
    with closing(sqlite3.connect(live, uri=True, timeout=30)) as source, closing(sqlite3.connect(into)) as target:
        source.backup(target, pages=-1)
        # One file: else the copy's own log would hold a part of it.
        target.execute("PRAGMA journal_mode=DELETE")
    check(into, str(file))


def put(settings: Settings, file: Path, manifest: Manifest, unpacked: Path) -> None:
    """Check the databases of an unpacked archive and move them to their places.

    Raises:
        StackError: one is damaged, or they do not hold what the archive says.
    """
    places = files(settings)
    for name in manifest.databases.keys() - MADE_ANEW:
        check(unpacked / "databases" / name, f"{file}, database {name}")
        places[name].parent.mkdir(parents=True, exist_ok=True)
        shutil.move(unpacked / "databases" / name, places[name])
    require_counts(str(settings.home), manifest, counts(places["mlflow"], places["state"]))


def require_counts(stack: str, manifest: Manifest, counts: Counts) -> None:
    """Refuse restored databases that do not hold what the archive says."""
    if counts != manifest.counts:
        raise StackError(stack, found=str(counts), expected=f"what the archive says: {manifest.counts}")


def damage(file: Path) -> str:
    """Return what SQLite's quick_check finds in a database; empty where it is whole."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=30)) as database:
            verdict = str(database.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        return str(error)
    return "" if verdict == "ok" else verdict


def check(file: Path, name: str) -> None:
    """Refuse a damaged database, `name` in the StackError."""
    if found := damage(file):
        raise StackError(
            name,
            found=f"a damaged database: {found}",
            expected="a database that SQLite's quick_check accepts",
            todo="restore it from an older archive, or repair it with `sqlite3 FILE .recover`",
        )


def size(settings: Settings) -> int:
    """Return the bytes that the dumps take at most; those of a server are compressed, and written elsewhere."""
    logs = [file.with_name(f"{file.name}-wal") for file in files(settings).values()]
    return sum(path.stat().st_size for path in (*files(settings).values(), *logs) if path.exists())


def counts(mlflow: Path, state: Path) -> Counts:
    """Count what a user would miss first in two databases, or in their dumps; neither has to exist."""
    champions = _rows(
        mlflow, "registered_model_aliases", "SELECT name, CAST(version AS TEXT) FROM {} WHERE alias = 'champion'"
    )
    runs, predictions = (
        sum(row[0] for row in _rows(file, table, "SELECT count(*) FROM {}"))
        for file, table in ((mlflow, "runs"), (state, "predictions"))
    )
    return Counts(champions=dict(champions), runs=runs, predictions=predictions)


def _rows(file: Path, table: str, query: str) -> list[Any]:
    """Query a table that may not exist yet."""
    if not file.exists():
        return []
    master = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    try:
        with closing(sqlite3.connect(file)) as database:
            exists = database.execute(master, [table]).fetchone()
            return database.execute(query.format(table)).fetchall() if exists else []
    except sqlite3.Error as error:
        expected, todo = f"a database with the table {table}", "take another archive"
        raise StackError(str(file), found=str(error), expected=expected, todo=todo) from None
