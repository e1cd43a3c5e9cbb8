"""Questions to the prediction log at 10, 100, ... times the rows; those that an index answers take as long.

``python -m bench.log [ROWS ...]``. One prediction of flights is asked every ten seconds, whatever the rows, so that a
day or a page of the log is as long in each. Ten million rows take some 12 GB.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.table import Row, print_rows, ratio
from stack.core import migrations
from stack.core.database import engine, predictions
from stack.core.settings import Settings
from stack.prediction_log import logged, pruning, unlabelled
from stack.prediction_log.predictions import Prediction, PredictionLog
from stack.specification import specs

PROJECT, SIZES = "flights", (70_000, 350_000)
END, EVERY, DAY = datetime(2025, 6, 1, tzinfo=UTC), timedelta(seconds=10), timedelta(days=1)
WRITTEN, BATCH, ROUNDS = 50_000, 5_000, 7
BAR = 1.5
"""Times the shortest log's seconds, for each question."""


def compare(sizes: Sequence[int] = SIZES) -> list[Row]:
    """Ask logs of these lengths the same questions, and compare with the shortest log's."""
    found = [measure(size) for size in sizes]
    return [
        Row(
            f"log of {size:,}: {name}",
            f"{seconds * 1000:.1f} ms",
            f"{found[0][name] * 1000:.1f} ms",
            ratio(seconds, found[0][name]),
            f"<= {BAR} times",
            seconds <= BAR * found[0][name],
        )
        for size, least in zip(sizes[1:], found[1:], strict=True)
        for name, seconds in least.items()
    ]


def measure(size: int) -> dict[str, float]:
    """Return the least seconds of each question to a log of so many predictions."""
    with TemporaryDirectory(prefix="bench-log-") as home:
        settings = Settings(home=Path(home))
        settings.home.joinpath("state").mkdir(exist_ok=True)
        migrations.upgrade(settings.state_database)
        log = PredictionLog(settings.state_database, specs.load(PROJECT))
        _fill(log, settings.state_database, size)
        least = {name: _least(ask) for name, ask in _questions(settings, log, size).items()}
        for name, seconds in least.items():
            print(f"log of {size:,}: {name} {seconds * 1000:.1f} ms", flush=True)
        return least


def _fill(log: PredictionLog, database: str, size: int) -> None:
    """Write the last `WRITTEN` predictions, and copies of them that were asked earlier."""
    rest = _predictions(min(size, WRITTEN))
    while some := [*islice(rest, BATCH)]:
        log.write(some)
    names = [*predictions.c.keys()]
    times = "asked_at", "answered_at", "features_at"
    copied = {name: f"strftime('%Y-%m-%d %H:%M:%f000', {name}, ?)" for name in times}
    values = ", ".join(copied.get(name, name) for name in names).replace("id,", "lower(hex(randomblob(16))),", 1)
    copy = f"insert into predictions ({', '.join(names)}) select {values} from predictions where asked_at > ? limit ?"
    since = str(END.replace(tzinfo=None) - EVERY * WRITTEN)
    for number in range(1, -(-size // WRITTEN)):
        back = f"-{number * WRITTEN * EVERY.seconds} seconds"
        with engine(database).begin() as connection:
            connection.exec_driver_sql(copy, (back, back, back, since, size - number * WRITTEN))


def _predictions(size: int) -> Iterator[Prediction]:
    """Yield predictions, the last of them asked at `END`."""
    spec = specs.load(PROJECT)
    request = {name: field.example for name, field in spec.request.items()}
    request |= {name: datetime.fromisoformat(str(request[name])) for name in ("sched_dep", "sched_arr")}
    features = dict.fromkeys(spec.features.columns, 12.5) | {"carrier_id": "UA"}
    answer = {"probability": 0.25, "decision": False}
    for number in range(size):
        at = END - EVERY * (size - 1 - number)
        yield Prediction(_id(number), at, at, request, features, at, "1", answer)


def _id(number: int) -> str:
    """Return an id that is as far from its neighbours' as those of UUID are."""
    return f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}-{number:08x}"


def _questions(settings: Settings, log: PredictionLog, size: int) -> dict[str, Callable[[], object]]:
    database, written = settings.state_database, min(size, WRITTEN)
    last = _id(written - 1)
    numbers = count(size)
    middle = END - EVERY * (size // 2)

    def write_one() -> None:
        (one,) = _predictions(1)
        log.write([replace(one, id=_id(next(numbers)))])

    return {
        "write one": write_one,
        "read a day": lambda: log.read(END - DAY, END),
        "read a day in the middle": lambda: log.read(middle - DAY, middle),
        "labelled of a day": lambda: log.outcomes(END - DAY, END),
        "label one by id": lambda: log.label_predictions({_id(next(numbers) % written): (1.0, END)}),
        "newest page": lambda: logged.page(database, PROJECT, 50),
        "page of a day": lambda: logged.page(database, PROJECT, 50, day=END - DAY),
        "one by id": lambda: logged.one(database, PROJECT, last),
        "days of a week": lambda: logged.by_day(database, PROJECT, 7, "probability"),
        "unlabelled": lambda: unlabelled.newest(database, PROJECT, 50),
        "asked since yesterday": lambda: logged.since(database, PROJECT, END - DAY),
        "nothing to move": lambda: pruning.prune(settings, END - timedelta(days=3650)),
    }


def _least(ask: Callable[[], object]) -> float:
    """Return the least seconds of a question that was asked before."""
    ask()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


if __name__ == "__main__":
    print_rows(compare([*map(int, sys.argv[1:])] or SIZES))
