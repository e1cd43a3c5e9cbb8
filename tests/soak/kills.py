"""Kill services at random, and measure how long each takes until all are healthy again."""

import os
import random
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic, sleep
from typing import NamedTuple

import httpx
import psutil

from stack.core.settings import Settings
from stack.ops import compose_file, status
from stack.ops.local import processes, supervisor
from stack.ops.local.supervisor import Supervisor
from tests.stacks import prefect_api

EVERY_SECONDS = 30.0
LIMIT_SECONDS = 20.0
GIVEN_UP_SECONDS = 180.0
PAUSE_SECONDS = 0.25
LAST_BEAT = timedelta(seconds=2)
"""So late Prefect may still take the last heartbeat of a killed worker; a new one takes longer to start."""
FLOW_RUN = "flow run"
"""The process of a run, which the worker has started."""


class Kill(NamedTuple):
    """A killed process, and its stack's recovery."""

    victim: str
    seconds: float
    """Until the killed service was healthy."""
    all_seconds: float
    """Until every service was."""
    load: float
    """Of the machine, over the last minute."""
    last_problem: str


class Killer:
    """Kills the services of one stack, by the process ids that its supervisor names."""

    def __init__(self, settings: Settings, seed: int, report: Callable[[str], None]) -> None:
        self._settings, self._random, self._report = settings, random.Random(seed), report
        self._services = {service.name: service for service in compose_file.services(settings) if service.health}
        self._supervisor = Supervisor(settings)
        self.kills: list[Kill] = []

    def run(self, stopped: Event) -> None:
        """Kill every 30 s; after a recovery that takes longer, at once."""
        due = monotonic() + EVERY_SECONDS
        while not stopped.wait(max(0.0, due - monotonic())):
            due = monotonic() + EVERY_SECONDS
            self.kills.append(kill := self._kill(self._random.choice([*self._services, FLOW_RUN])))
            self._report(
                f"kill {len(self.kills)}: {kill.victim} healthy after {kill.seconds:.1f} s, all after "
                f"{kill.all_seconds:.1f} s; load {kill.load:.1f}; last problem: {kill.last_problem[:200] or 'none'}"
            )

    def problem(self) -> str:
        """Return what is wrong with the services; empty when all are healthy."""
        states = self._supervisor.states()
        stopped = {name: states[name].status.lower() for name in self._services if not states[name].pid}
        asked = status.problems(service for name, service in self._services.items() if name not in stopped)
        return "; ".join(f"{name}: {problem}" for name, problem in (stopped | asked).items() if problem)

    def _kill(self, victim: str) -> Kill:
        running = self._flow_run() if victim == FLOW_RUN else self._supervisor.states()[victim].pid
        if not running and victim == FLOW_RUN:
            return self._kill(self._random.choice([*self._services]))
        at, began, load = datetime.now(UTC), monotonic(), os.getloadavg()[0]
        with suppress(ProcessLookupError):
            os.kill(running, signal.SIGKILL)
        own = last = ""
        while (problem := self._unwell(victim, running, at)) and monotonic() - began < GIVEN_UP_SECONDS:
            own = problem
            sleep(PAUSE_SECONDS)
        seconds = monotonic() - began
        while (problem := self.problem()) and monotonic() - began < GIVEN_UP_SECONDS:
            last = problem
            sleep(PAUSE_SECONDS)
        return Kill(victim, seconds, monotonic() - began, load, last or own)

    def _unwell(self, victim: str, killed: int, at: datetime) -> str:
        """Return what is wrong with the service after its process was killed; empty when a new one is healthy."""
        if victim == FLOW_RUN:
            return ""
        state = self._supervisor.states()[victim]
        if not state.pid or state.pid == killed:
            return f"{victim}: {state.status.lower()}"
        if problem := status.problems([self._services[victim]])[victim]:
            return f"{victim}: {problem}"
        return self._silent(at + LAST_BEAT) if victim == "worker" else ""

    def _silent(self, since: datetime) -> str:
        """Return whether the worker has sent no heartbeat since: Prefect counts a dead one as online for a while."""
        try:
            with prefect_api(self._settings) as api:
                workers = api.post("/work_pools/stack/workers/filter", json={}).raise_for_status().json()
        except httpx.HTTPError as error:
            return f"worker: {error}"
        beats = [datetime.fromisoformat(worker["last_heartbeat_time"]) for worker in workers]
        return "" if any(beat > since for beat in beats) else "worker: no heartbeat"

    def _flow_run(self) -> int:
        """Return the process id of a run; 0 when there is none."""
        main = self._supervisor.states()["worker"].pid
        of_worker = processes.by_service(supervisor.address(self._settings)).get("worker", [])
        runs = [process.pid for process in of_worker if process.pid != main and _is_run(process)]
        return self._random.choice(runs) if runs else 0


def _is_run(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return any("prefect" in word and "engine" in word for word in process.cmdline())
    return False
