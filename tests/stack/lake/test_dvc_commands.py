"""DVC's own command line on every version of the lake, and what an append costs when there are many."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.lake import lake, windows
from stack.project import Project
from tests.stack.lake.lakes import DAYS, SPEC, append, dvc

HOUR = timedelta(hours=1)


def append_hour(settings: Settings, number: int) -> str:
    """Append a batch of two rows."""
    since = DAYS[0] + number * HOUR
    known = [since + HOUR / 2]
    content = {
        "trains": pd.DataFrame({"day": [str(number)], "train": "ICE", "delay": 1.0, "available_at": known}),
        "weather": pd.DataFrame({"station": "Ulm", "hour": known, "gust": None, "available_at": known}),
    }
    return Project(settings, SPEC).lake.append(content, since, since + HOUR)


def calls(work: Callable[[], object]) -> int:
    """Count the function calls of some work: its cost, whatever else the machine does."""
    count_of_calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal count_of_calls
        count_of_calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count_of_calls


def seconds(work: Callable[[], object]) -> float:
    """Measure the processor time of some work."""
    before = time.process_time()
    work()
    return time.process_time() - before


def git(settings: Settings, *command: str) -> str:
    full = ["git", "-C", str(settings.lake), *command]
    return subprocess.run(full, capture_output=True, text=True, check=True).stdout


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.lake.glob("trains/*/*/trains/*.parquet"))


@pytest.mark.parametrize(
    ("hours", "cost"), [(100, calls), pytest.param(1000, seconds, marks=pytest.mark.slow)], ids=["100", "1000"]
)
def test_dvcs_own_commands_work_after_many_appends(
    settings: Settings, tmp_path: Path, hours: int, cost: Callable[[Callable[[], object]], float]
) -> None:
    around = {10: list[float](), hours: list[float]()}
    for number in range(hours):
        append_next = partial(append_hour, settings, number)
        near = next((costs for middle, costs in around.items() if abs(number + 5 - middle) <= 4), None)
        append_next() if near is None else near.append(cost(append_next))
    early, late = map(statistics.median, around.values())
    print(f"append 10: {early}, append {hours}: {late}, ratio {late / early:.2f}")
    assert late <= 1.3 * early

    revisions = Project(settings, SPEC).lake.batches()["revision"].tolist()
    fifth, newest = revisions[4], revisions[-1]
    everything = files(settings)
    assert len(everything) == hours

    git(settings, "checkout", fifth)
    dvc(settings, "checkout")
    assert files(settings) == everything[:5]
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    git(settings, "checkout", "main")
    dvc(settings, "checkout")
    assert files(settings) == everything
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    assert git(settings, "status", "--porcelain") == ""

    assert everything[-1] in dvc(settings, "diff", revisions[-2], newest)
    assert len(dvc(settings, "diff", fifth, newest).splitlines()) > hours
    remote = settings.model_copy(update={"lake_remote": str(tmp_path / "remote")})
    lake.prepare(remote)
    dvc(settings, "push", "--all-commits")
    lists = set((settings.lake / ".dvc/cache/files/md5").glob("*/*.dir"))
    assert len(lists) == hours
    assert {path.name for path in (tmp_path / "remote").rglob("*.dir")} == {path.name for path in lists}

    dvc(settings, "gc", "--workspace", "--force")
    assert len(list((settings.lake / ".dvc/cache/files/md5").glob("*/*.dir"))) == 1 + (hours - 1) // 24
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    assert len(Project(settings, SPEC).lake.read()["trains"]) == hours
    append_hour(settings, hours)
    assert len(Project(settings, SPEC).lake.read()["trains"]) == hours + 1
    with pytest.raises(StackError, match="STACK_LAKE_REMOTE"):
        Project(settings, SPEC).lake.read(revision=fifth)
    assert len(Project(remote, SPEC).lake.read(revision=fifth)["trains"]) == 5


def test_batches_of_days_share_a_month_and_shorter_ones_a_day(settings: Settings) -> None:
    append(settings, 0)
    append(settings, 1)
    append_hour(settings, 48)
    assert sorted(path.as_posix() for path in settings.lake.glob("trains/*/*.dvc")) == [
        f"{settings.lake}/trains/2013-01/day-03.dvc",
        f"{settings.lake}/trains/2013-01/month.dvc",
    ]
    assert Project(settings, SPEC).lake.newest() == {"trains": DAYS[2] + HOUR, "weather": DAYS[2] + HOUR}
    assert len(Project(settings, SPEC).lake.read(since=DAYS[2])["trains"]) == 1
    assert len(Project(settings, SPEC).lake.read()["trains"]) == 7


@pytest.mark.parametrize(
    ("name", "overlaps"),
    [
        ("2013-01/month", True),
        ("2013-03/month", False),
        ("2013-01/day-09", False),
        ("2013-01/day-31", True),
        ("raw", True),
    ],
)
def test_partitions_outside_a_window_are_left_unread(name: str, overlaps: bool) -> None:
    since, until = datetime(2013, 2, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)
    assert windows.may_overlap(name, since, until) == overlaps
    assert windows.may_overlap(name, None, None)


def test_a_commit_names_its_batch_in_trailers(settings: Settings) -> None:
    append(settings, 0)
    batch = lake.batch_id(DAYS[0], DAYS[1])
    trailers = git(settings, "log", "-1", "--format=%(trailers)").split("\n")
    assert trailers[:2] == ["Project: trains", f"Batch: {batch}"]
