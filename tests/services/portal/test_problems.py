"""Status, doctor, home page and alarm report every problem in the same words, each with what to do."""

import asyncio
import html
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner, Result

from services.portal import watch
from stack.cli import main
from stack.core import alerts, disk, problems, wall_clock
from stack.core.problems import Problem
from stack.core.settings import PREFIX, Settings
from stack.lake import integrity as lake_integrity
from stack.ops import health, integrity
from stack.project import Project
from stack.validation import batches
from tests.polling import PATIENCE_SECONDS, eventually
from tests.services.portal.conftest import home, portal  # noqa: F401  # a stack of which no service runs
from tests.stack.lake.lakes import SPEC, append, tables
from tests.stacks import free_ports

NOW = datetime.now(UTC).isoformat()
Break = Callable[[Settings, pytest.MonkeyPatch], object]


def damaged_lake(home: Settings, _: pytest.MonkeyPatch) -> None:
    append(home, 0)
    os.truncate(next((home.lake / lake_integrity.OBJECTS).glob("??/*[!r]")), 500)
    integrity.check(home)


def damaged_database(home: Settings, _: pytest.MonkeyPatch) -> None:
    file = home.home / "mlflow/mlflow.db"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"SQLite format 3\0" + bytes(5000))
    integrity.check(home)


def jumped(by: timedelta) -> Break:
    def jump(home: Settings, _: pytest.MonkeyPatch) -> None:
        wall_clock.observe(home)
        mark = json.loads((home.run / "clock.json").read_text())
        (home.run / "clock.json").write_text(json.dumps(mark | {"wall": mark["wall"] - by.total_seconds()}))

    return jump


def refused_batch(home: Settings, _: pytest.MonkeyPatch) -> None:
    folder = home.quarantine / "flights/20260101T000000Z_20260102T000000Z"
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"accepted": False, "failures": ["912 keys twice"]}))


def silent_source(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source of one table has given no row for 30 days, the other one has."""
    flights = SPEC.model_copy(update={"name": "flights"})
    since = datetime(2026, 1, 1, tzinfo=UTC)
    empty = {name: frame.head(0) if name == "weather" else frame for name, frame in tables(0).items()}
    batches.alert_stale(Project(home, flights), empty, since, since + timedelta(days=30))


def record(**fields: str | None) -> Break:
    def write(home: Settings, _: pytest.MonkeyPatch) -> None:
        home.run.mkdir(exist_ok=True)
        (home.run / "backup.json").write_text(json.dumps({"since": "2026-01-01T00:00:00Z"} | fields))

    return write


def full_disk(_: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "free", lambda _: 500 * disk.MIB)


CASES: dict[str, tuple[Break, str, str]] = {
    "truncated object of the lake": (damaged_lake, "the lake is damaged", "dvc pull"),
    "damaged database": (damaged_database, "a database is damaged", "make restore"),
    "clock a year ahead": (jumped(timedelta(days=365)), "the clock has jumped", "make clock TRUST=1"),
    "clock a year back": (jumped(timedelta(days=-365)), "the clock has jumped", "make clock TRUST=1"),
    "step of an hour": (jumped(timedelta(hours=1)), "the clock has jumped", "make clock TRUST=1"),
    "refused batch": (refused_batch, "flights: batch refused", "make ingest PROJECT=flights"),
    "silent source": (silent_source, "flights: no new rows of weather", "Check the source of weather"),
    "failed backup": (record(problem="/mnt/usb: no such folder"), "the backup failed", "the next attempt is automatic"),
    "failed restore": (
        record(at=NOW, verify_problem="3 runs lost"),
        "the last backup cannot be restored",
        "make backup",
    ),
    "old backup": (record(at="2026-01-05T00:00:00Z"), "no backup is made", "make logs SERVICE=backups"),
    "full disk": (full_disk, "the disk fills up", "free some space"),
}


@pytest.fixture(params=CASES, ids=str)
def broken(request: pytest.FixtureRequest, home: Settings, monkeypatch: pytest.MonkeyPatch) -> Problem:
    """A stack with one thing wrong; the problem that this is."""
    break_it, title, todo = CASES[request.param]
    monkeypatch.setattr(disk, "free", lambda _: 100 * disk.RESERVE)
    monkeypatch.setenv("HOME", str(home.home))
    break_it(home, monkeypatch)
    (problem,) = health.standing(home, datetime.now(UTC))
    assert problem.title.startswith(title) and todo in problem.todo
    return problem


def command(home: Settings, name: str) -> Result:
    environ = {key: value for key, value in home.environment().items() if key.startswith(PREFIX)}
    return CliRunner(env=environ | {f"{PREFIX}RUNTIME": "local"}).invoke(main, [name])


def test_it_is_reported_everywhere_in_the_same_words(broken: Problem, home, portal, monkeypatch):
    words = (broken.title, broken.text, broken.todo)
    for name in ("status", "doctor"):
        output = command(home, name).output
        assert all(word in output for word in words), f"{name} says:\n{output}"
    assert command(home, "doctor").exit_code == 1

    client = portal(home)
    page = eventually(lambda: broken.title in (text := html.unescape(client.get("/").text)) and text)
    assert all(word in page for word in words)
    assert vars(broken) in client.get("/problems.json").json()

    raised: list[tuple[str, str]] = []
    monkeypatch.setattr(alerts, "notify", lambda _, title, text: raised.append((title, text)))
    monkeypatch.setattr(watch, "CHECK_SECONDS", 0.1)
    asyncio.run(watched(home, lambda: raised))
    text = dict(raised)[broken.title]
    assert broken.text in text and broken.todo in text


async def watched(home: Settings, until: Callable[[], object]) -> None:
    async with health.client() as client:
        watching = asyncio.create_task(watch.forever(home, client))
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not until():
                await asyncio.sleep(0.05)
        watching.cancel()


def test_what_was_repaired_is_reported_no_more(home: Settings, monkeypatch):
    monkeypatch.setattr(disk, "WARNING", 0)
    append(home, 0)
    path = next((home.lake / lake_integrity.OBJECTS).glob("??/*[!r]"))
    whole = path.read_bytes()
    os.truncate(path, 500)
    assert integrity.check(home) and health.standing(home, datetime.now(UTC))

    path.chmod(0o644)
    path.write_bytes(whole)
    assert integrity.check(home) == [] and health.standing(home, datetime.now(UTC)) == []


def test_a_record_of_a_project_that_is_gone_is_left_out(home: Settings, monkeypatch):
    monkeypatch.setattr(disk, "WARNING", 0)
    problems.record(home, "silence-gone", [Problem("gone: no new rows of a", "text", "todo")])
    assert health.standing(home, datetime.now(UTC)) == []


def test_damaged_records_hide_nothing_else(home: Settings, monkeypatch):
    monkeypatch.setattr(disk, "WARNING", 2**62)
    for path in (home.run / "problems/integrity.json", home.run / "backup.json", home.run / "clock.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"cut off')
    assert [problem.title for problem in health.standing(home, datetime.now(UTC))] == ["the disk fills up"]


def test_the_page_of_a_home_that_is_not_there_says_so(home: Settings):
    (port,) = free_ports(1)
    (problem,) = health.of_home_page(home.model_copy(update={"portal_port": port}))
    assert problem.title == "the home page does not answer" and "SERVICE=portal" in problem.todo
