"""Ingests, trainings and reports by Prefect's deployments, one after another of each."""

from collections import Counter
from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import Any

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.runs import ENDED, Runs
from tests.stacks import prefect_api

EVERY_SECONDS = {"ingest": 120.0, "train": 300.0, "monitor": 600.0}
"""Flow -> between the starts of two runs."""
STUCK_SECONDS = 600.0
"""A run that takes longer does not end: undisturbed, each takes less than a minute."""
ALIVE = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}


class FlowRuns:
    """The runs of one project."""

    def __init__(self, settings: Settings, project: str, report: Callable[[str], None]) -> None:
        self._settings, self._project, self._report = settings, project, report
        self.states: Counter[str] = Counter()
        """"ingest COMPLETED" and the like -> runs."""

    def repeat(self, flow: str, stopped: Event) -> None:
        """Run a flow again and again until the event is set."""
        due = monotonic()
        while not stopped.wait(max(0.0, due - monotonic())):
            due = monotonic() + EVERY_SECONDS[flow]
            self.states[f"{flow} {self.run(flow)}"] += 1

    def run(self, flow: str) -> str:
        """Run a flow to its end; return its state."""
        try:
            run = Runs(self._settings, patience=90).start(flow, self._project, {})
        except StackError as error:
            self._report(f"{flow} not started: {error.found}")
            return "NOT STARTED"
        began, state = monotonic(), {"type": "SCHEDULED"}
        while state["type"] not in ENDED and monotonic() - began < STUCK_SECONDS:
            Event().wait(2)
            state = self._state(run) or state
        if state["type"] not in ENDED:
            self._report(f"{flow} run {run} has not ended after {STUCK_SECONDS:.0f} s: {state}")
            return "STUCK"
        if state["type"] != "COMPLETED":
            self._report(f"{flow} {state['type'].lower()}: {str(state.get('message'))[:300]}")
        return str(state["type"])

    def alive(self) -> list[str]:
        """Return the names of the runs that have begun and not ended."""
        with prefect_api(self._settings) as api:
            answer = api.post("/flow_runs/filter", json={"flow_runs": ALIVE}).raise_for_status()
        return [f"{run['name']} ({run['state']['type'].lower()})" for run in answer.json()]

    def _state(self, run: str) -> Any:
        try:
            with prefect_api(self._settings) as api:
                return api.get(f"/flow_runs/{run}").raise_for_status().json()["state"]
        except httpx.HTTPError:
            return None
