"""DVC's own command line on every version of the lake, and what an append costs when there are many."""

import statistics
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from stack.data import lake, windows
from stack.settings import Settings
from tests.stack.data.lakes import DAYS, SPEC, append, dvc

HOUR = timedelta(hours=1)


def append_hour(settings: Settings, number: int) -> tuple[str, float]:
    """Append a small batch; give its revision and the processor time that it took, in seconds."""
    since = DAYS[0] + number * HOUR
    known = [since + HOUR / 2]
    content = {
        "trains": pd.DataFrame({"day": [str(number)], "train": "ICE", "delay": 1.0, "available_at": known}),
        "weather": pd.DataFrame({"station": "Ulm", "hour": known, "gust": None, "available_at": known}),
    }
    before = time.process_time()
    revision = lake.append(settings, SPEC, content, since, since + HOUR)
    return revision, time.process_time() - before


def git(settings: Settings, *command: str) -> str:
    full = ["git", "-C", str(settings.lake), *command]
    return subprocess.run(full, capture_output=True, text=True, check=True).stdout


def files(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.lake.glob("trains/*/*/trains/*.parquet"))


@pytest.mark.parametrize("hours", [300, pytest.param(1000, marks=pytest.mark.slow)])
def test_dvcs_own_commands_work_after_many_appends(settings: Settings, tmp_path: Path, hours: int) -> None:
    made = [append_hour(settings, number) for number in range(hours)]
    fifth, newest = made[4][0], made[-1][0]
    early, late = (statistics.median(cost for _, cost in part) for part in (made[4:15], made[-11:]))
    print(f"append 10: {early * 1000:.1f} ms, append {hours}: {late * 1000:.1f} ms, ratio {late / early:.2f}")
    assert late / early <= 1.3
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

    assert everything[-1] in dvc(settings, "diff", made[-2][0], newest)
    assert len(dvc(settings, "diff", fifth, newest).splitlines()) > hours
    dvc(settings, "remote", "add", "--local", "--default", "user", str(tmp_path / "remote"))
    dvc(settings, "push", "--all-commits")
    lists = set((settings.lake / ".dvc/cache/files/md5").glob("*/*.dir"))
    assert len(lists) == hours
    assert {path.name for path in (tmp_path / "remote").rglob("*.dir")} == {path.name for path in lists}

    dvc(settings, "gc", "--workspace", "--force")
    assert len(list((settings.lake / ".dvc/cache/files/md5").glob("*/*.dir"))) == 1 + (hours - 1) // 24
    assert dvc(settings, "status") == "Data and pipelines are up to date.\n"
    assert len(lake.read(settings, SPEC)["trains"]) == hours
    append_hour(settings, hours)
    assert len(lake.read(settings, SPEC)["trains"]) == hours + 1
    # from the remote, as the cache lacks its list now
    assert len(lake.read(settings, SPEC, revision=fifth)["trains"]) == 5


def test_batches_of_days_share_a_month_and_shorter_ones_a_day(settings: Settings) -> None:
    append(settings, 0)
    append(settings, 1)
    append_hour(settings, 48)
    assert sorted(path.as_posix() for path in settings.lake.glob("trains/*/*.dvc")) == [
        f"{settings.lake}/trains/2013-01/03.dvc",
        f"{settings.lake}/trains/2013-01/month.dvc",
    ]
    assert lake.newest(settings, SPEC) == {"trains": DAYS[2] + HOUR, "weather": DAYS[2] + HOUR}
    assert len(lake.read(settings, SPEC, since=DAYS[2])["trains"]) == 1
    assert len(lake.read(settings, SPEC)["trains"]) == 7


@pytest.mark.parametrize(
    ("name", "overlaps"),
    [("2013-01/month", True), ("2013-03/month", False), ("2013-01/09", False), ("2013-01/31", True), ("raw", True)],
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
