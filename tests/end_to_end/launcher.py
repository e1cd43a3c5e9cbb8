"""Run flows in processes that are killed at given places: ``python launcher.py FOLDER``, jobs as JSON on stdin.

A job is ``{"flow": "module:name", "parameters": {...}, "kill": ["module:function#2", ...]}``: the run is killed when it
returns from the second call of the function (``@word``: from one with that argument), and started again, until each
place has been struck and a run ends well.
With ``"after": [3.2, 0.7]`` it is killed after so many seconds, and started again even where it failed: its servers are
being killed too. ``{"state": "<project>"}`` asks for the state of a project. The answers are JSON lines on stdout.
Every run is a fork of this process, which has imported everything, as that takes seconds.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import heavy
from prefect.events.worker import EventsWorker

PATIENCE_SECONDS = 300.0
"""So long a run may fail, after its servers have been killed."""
PLACE = re.compile(r"([^#@]+)(?:#(\d+))?(?:@(\w+))?")


def attempts(job: dict[str, Any], struck: Path) -> Iterator[int]:
    """Run a job again and again until it ends well, or fails though nothing disturbs it; gives the exit statuses."""
    after = job.get("after", [])
    for seconds in after:
        yield attempt(job, struck, seconds)
    deadline = time.monotonic() + (PATIENCE_SECONDS if after else 0)
    while True:
        status = attempt(job, struck, None)
        yield status
        if status != -signal.SIGKILL and (not status or time.monotonic() > deadline):
            return


def attempt(job: dict[str, Any], struck: Path, seconds: float | None) -> int:
    """Run a job in a fork, for so long; returns its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if not pid:
        try:
            os.dup2(2, 1)
            spread(job.get("kill", []), struck)
            module, _, name = job["flow"].partition(":")
            getattr(import_module(module), name)(**typed(job["parameters"]))
            EventsWorker.drain_all(timeout=PATIENCE_SECONDS)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if seconds is not None:
        signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
        signal.setitimer(signal.ITIMER_REAL, seconds)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # until it is reaped below, its number is nobody else's
    signal.setitimer(signal.ITIMER_REAL, 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def spread(places: list[str], struck: Path) -> None:
    """Lay a mine at each place that has not been struck yet."""
    done = struck.read_text().splitlines() if struck.exists() else []
    for place in places:
        if place in done:
            continue
        function, number, argument = PLACE.fullmatch(place).groups()  # type: ignore[union-attr]
        module, _, path = function.partition(":")
        owner: Any = import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        found = getattr(owner, name)
        # A task of Prefect runs its attribute `fn`.
        owner, name = (found, "fn") if hasattr(found, "fn") else (owner, name)
        setattr(owner, name, mined(getattr(owner, name), place, int(number or 1), argument, struck))


def mined(
    function: Callable[..., Any], place: str, number: int, argument: str | None, struck: Path
) -> Callable[..., Any]:
    """Let a function kill the process when it returns from such a call."""
    count = 0

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        given = function(*args, **kwargs)
        count += argument is None or any(isinstance(one, str) and one == argument for one in args)
        if count == number:
            with struck.open("a") as file:
                file.write(place + "\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return given

    return call


def tell(name: str) -> None:
    """Print the state of a project. A fork looks it up: what is open here would be shared by all later runs."""
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    try:
        import states

        print(json.dumps(states.of(name)), flush=True)
    except BaseException:
        traceback.print_exc()
        print(json.dumps({}), flush=True)
    os._exit(0)


def typed(parameters: dict[str, Any]) -> dict[str, Any]:
    return {key: datetime.fromisoformat(value) if key != "project" else value for key, value in parameters.items()}


def main(folder: Path) -> None:
    for module in heavy.MODULES:
        import_module(module)
    for number, line in enumerate(sys.stdin):
        job = json.loads(line)
        if "state" in job:
            tell(job["state"])
            continue
        struck = folder / f"struck-{number}"
        statuses = list(attempts(job, struck))
        places = struck.read_text().splitlines() if struck.exists() else []
        killed = statuses.count(-signal.SIGKILL)
        print(json.dumps({"status": statuses[-1], "killed": killed, "struck": places}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
