"""A small lake, what a user's shell makes of it, and processes that die in the midst of their work."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile

import pandas as pd
from dvc import cli

from stack.core.settings import Settings
from stack.project import Project
from stack.specification.specs import ProjectSpec
from tests.forked import forked

DAYS = [datetime(2013, 1, day, tzinfo=UTC) for day in range(1, 10)]
SPEC = ProjectSpec.model_validate(
    {
        "name": "trains",
        "title": "Is the train late?",
        "label": "late",
        "clock": {"kind": "replay", "start": DAYS[0]},
        "tables": {"trains": {"key": ["day", "train"]}, "weather": {"key": ["station", "hour"]}},
        "request": {"train": {"type": "string", "description": "Number", "example": "ICE 1"}},
        "features": {"service": "trains_v1", "entities": ["train"], "columns": {"train_id": "category"}},
    }
)


def tables(day: int, trains: int = 3) -> dict[str, pd.DataFrame]:
    """What became known in (day, day + 1]."""
    known = pd.date_range(DAYS[day] + timedelta(hours=1), periods=trains, freq="h")
    names = [f"ICE {number}" for number in range(trains)]
    return {
        "trains": pd.DataFrame({"day": str(day), "train": names, "delay": float(day), "available_at": known}),
        "weather": pd.DataFrame({"station": "Ulm", "hour": known, "gust": None, "available_at": known}),
    }


def append(settings: Settings, day: int) -> str:
    return Project(settings, SPEC).lake.append(tables(day), DAYS[day], DAYS[day + 1])


def commits(settings: Settings) -> list[str]:
    log = ["git", "-C", str(settings.lake), "log", "--format=%s"]
    return subprocess.run(log, capture_output=True, text=True, check=True).stdout.splitlines()


def dvc(settings: Settings, *command: str) -> str:
    """What a user's shell sees: DVC's command line, in a fork that need not import it."""
    with TemporaryFile("w+") as output:

        def work() -> None:
            os.chdir(settings.lake)
            with redirect_stdout(output):
                status = cli.main(list(command))
            output.flush()
            assert status == 0

        assert forked(work) == 0
        output.seek(0)
        return output.read()


def died(work: Callable[[], object], last_event: int) -> bool:
    """Work in a forked process that dies by SIGKILL at its n-th touch of the file system; say whether it died."""
    events = 0

    def die(event: str, _: object) -> None:
        nonlocal events
        if event in ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"):
            events += 1
            if events == last_event:
                os.kill(os.getpid(), signal.SIGKILL)

    return forked(lambda: (sys.addaudithook(die), work())) != 0
