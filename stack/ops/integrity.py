"""Compare the state with its hashes: the lake's data, the models of the registry, the databases.

:func:`check` is for `stack doctor --deep` and for backups: the caller refuses or marks an archive by its result.
"""

from collections.abc import Iterator
from pathlib import Path

import httpx
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from stack.core import problems
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.problems import Problem
from stack.core.settings import Settings
from stack.lake import integrity as lake
from stack.ops import databases, servers
from stack.registry import artifacts
from stack.registry.registry import Registry
from stack.specification import specs

RECORD = "integrity"
PAGES = "SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database() AND checksum_failures > 0"


def check(settings: Settings, report: Reporter = lambda _: None) -> list[Problem]:
    """Return what is damaged, each with its file and the cure; and record it for status, home page and alarm.

    Every file of the lake is read, each registered model downloaded, and each database looked through: minutes for
    gigabytes. The stack may run meanwhile. Without MLflow's server the models are left out, and reported so.
    """
    found = [Problem.of("the lake is damaged", error) for error in lake.check(settings)]
    found += [Problem.of("a database is damaged", error) for error in _databases(settings)]
    try:
        found += [
            Problem.of("a model is damaged", error) for name in specs.names() for error in _models(settings, name)
        ]
    except httpx.TransportError:
        report("MLflow does not answer: the models are not compared")
    distinct = [Problem(_title(problem, found), problem.text, problem.todo) for problem in found]
    problems.record(settings, RECORD, distinct)
    for problem in distinct:
        report(str(problem))
    return distinct


def _title(problem: Problem, found: list[Problem]) -> str:
    """Return the title, with the file where several have the same."""
    several = sum(other.title == problem.title for other in found) > 1
    return f"{problem.title}: {problem.text.partition(':')[0]}" if several else problem.title


def _models(settings: Settings, name: str) -> Iterator[StackError]:
    """Yield an error for each version whose served form is not the one that was registered."""
    for version in Registry(settings, name).versions():
        try:
            with artifacts.folder(settings, version, artifacts.SERVED):
                pass
        except StackError as error:
            yield error
        except httpx.HTTPStatusError as error:
            yield StackError(
                f"model {name}, version {version.version}",
                found=str(error).splitlines()[0],
                expected="its files",
                todo="run `make restore` with a backup from before the damage",
            )


def _databases(settings: Settings) -> Iterator[StackError]:
    """Yield an error for each database with a damaged page, by SQLite's quick_check or PostgreSQL's checksums."""
    for url in databases.urls(settings).values():
        parsed = make_url(url)
        if parsed.get_backend_name() != databases.KIND:
            verdict = _server(url)
        elif Path(str(parsed.database)).exists():
            verdict = databases.damage(Path(str(parsed.database)))
        else:
            continue
        if verdict:
            yield StackError(
                str(parsed.database),
                found=verdict,
                expected="a database without a damaged page",
                todo="run `make restore` with a backup from before the damage",
            )


def _server(url: str) -> str:
    """Return how many pages the server has found damaged, as it read them for the last dumps too."""
    try:
        rows = servers.query(url, PAGES)
    except SQLAlchemyError as error:
        return str(error).splitlines()[0]
    return f"{rows[0][0]} damaged pages" if rows else ""
