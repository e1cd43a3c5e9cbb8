"""Run flows in processes that are killed at given places: ``python launcher.py FOLDER``, jobs as JSON on stdin.

A job is ``{"flow": "module:name", "parameters": {...}, "kill": ["module:function#2", ...]}``: the run is killed when it
returns from the second call of the function (``@word``: from one with that argument), and started again, until each
place has been reached and a run succeeds.
With ``"after": [3.2, 0.7]`` it is killed after so many seconds, and started again even where it failed: its servers are
being killed too. ``{"state": "<project>"}`` asks for the state of a project. The answers are JSON lines on stdout.
Every run is a fork of this process, which has imported everything, as that takes seconds.
"""

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


def attempts(job: dict[str, Any], reached: Path) -> Iterator[int]:
    """Run a job again and again until it succeeds, or fails undisturbed; yield the exit statuses."""
    after = job.get("after", [])
    for seconds in after:
        yield attempt(job, reached, seconds)
    deadline = time.monotonic() + (PATIENCE_SECONDS if after else 0)
    while True:
        status = attempt(job, reached, None)
        yield status
        if status != -signal.SIGKILL and (not status or time.monotonic() > deadline):
            return


def attempt(job: dict[str, Any], reached: Path, seconds: float | None) -> int:
    """Run a job in a fork, for so many seconds; return its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if not pid:
        try:
            os.dup2(2, 1)
            set_kills(job.get("kill", []), reached)
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
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # until it is reaped below, its number is not given to another
    signal.setitimer(signal.ITIMER_REAL, 0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def set_kills(places: list[str], reached: Path) -> None:
    """Kill this process at each place where it has not been killed yet."""
    earlier = reached.read_text().splitlines() if reached.exists() else []
    for place in places:
        if place in earlier:
            continue
        function, number, argument = PLACE.fullmatch(place).groups()  # type: ignore[union-attr]
        module, _, path = function.partition(":")
        owner: Any = import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        target = getattr(owner, name)
        # A task of Prefect runs its attribute `fn`.
        owner, name = (target, "fn") if hasattr(target, "fn") else (owner, name)
        setattr(owner, name, killing(getattr(owner, name), place, int(number or 1), argument, reached))


def killing(
    function: Callable[..., Any], place: str, number: int, argument: str | None, reached: Path
) -> Callable[..., Any]:
    """Let a function kill the process when it returns from such a call."""
    count = 0

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        answer = function(*args, **kwargs)
        count += argument is None or any(isinstance(value, str) and value == argument for value in args)
        if count == number:
            with reached.open("a") as file:
                file.write(place + "\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    return call


def print_state(name: str) -> None:
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
            print_state(job["state"])
            continue
        reached = folder / f"reached-{number}"
        statuses = list(attempts(job, reached))
        places = reached.read_text().splitlines() if reached.exists() else []
        killed = statuses.count(-signal.SIGKILL)
        print(json.dumps({"status": statuses[-1], "killed": killed, "reached": places}), flush=True)


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[2]))  # for the tests' own modules; all others are of the checkout
    main(Path(sys.argv[1]))
