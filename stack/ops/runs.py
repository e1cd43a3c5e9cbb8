"""Start a Prefect deployment and follow its run to the end."""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.wait import wait_until
from stack.ops.prefect_api import PrefectApi

ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
WAITING = "PAUSED"
"""A run that waits for a person has done its work so far; it is not followed further."""
PAGE = 200
LATE = timedelta(seconds=60)
"""A line of a log reaches the server within this time of a later one of another process."""
LEVELS = {logging.INFO: "", logging.WARNING: "warning: ", logging.ERROR: "error: ", logging.CRITICAL: "error: "}
NOISE = {"prefect.flow_runs.worker", "prefect.flow_runs.runner"}
LAST_LINE = "Finished in state "
FINISHED = f"{LAST_LINE}Completed()"


@dataclass(frozen=True)
class Run:
    """A flow run, and how far it is."""

    id: str
    state: str
    """COMPLETED, FAILED, CRASHED, CANCELLED, PAUSED, or a state that is not final."""
    url: str = ""
    message: str = ""

    @property
    def good(self) -> bool:
        """Whether the run did its work."""
        return self.state in ("COMPLETED", WAITING)

    @property
    def ended(self) -> bool:
        """Whether its state is final."""
        return self.state in ENDED


class Runs:
    """Flow runs of one stack's Prefect server.

    Args:
        settings: the stack.
        patience: seconds for which a server that is restarting or overloaded is asked again.
    """

    def __init__(self, settings: Settings, patience: float = 0.0) -> None:
        self._settings, self._call = settings, PrefectApi(settings, patience).call
        self._flows: dict[str, str] = {}

    def start(self, flow: str, project: str, parameters: Mapping[str, Any]) -> str:
        """Start a run of the deployment ``<flow>/<project>`` and return its id.

        Raises:
            StackError: there is no such deployment, or Prefect refuses the parameters.
        """
        deployment = self._deployment(flow, project)
        if deployment is None:
            raise StackError(
                f"deployment {flow}/{project}",
                found="not registered",
                expected="a project with a valid project.yaml",
                todo="run `make up`, which registers every project, and read its output",
            )
        # Asked again after a timeout, Prefect starts no second run for this key.
        wanted = {"parameters": dict(parameters), "idempotency_key": str(uuid4())}
        run = self._call("POST", f"deployments/{deployment}/create_flow_run", wanted)
        return str((run or {})["id"])

    def active(self, flow: str, project: str) -> str | None:
        """Return the id of a run of the deployment that has not ended yet."""
        states = {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}
        return next((str(run["id"]) for run in self._of_deployment(flow, project, states, limit=1)), None)

    def last(self, flow: str, project: str, parameters: Mapping[str, datetime]) -> Run | None:
        """Return the newest run of the deployment with these instants among its parameters, cancelled ones apart."""
        states = {"not_any_": ["CANCELLED", "CANCELLING"]}
        for run in self._of_deployment(flow, project, states, sort="EXPECTED_START_TIME_DESC", limit=PAGE):
            stored = run["parameters"]
            instants = {name: datetime.fromisoformat(stored[name]) for name in parameters if stored.get(name)}
            if instants == parameters:
                return self._run(run["id"], run["state"])
        return None

    def online(self, pool: str) -> bool:
        """Return whether a work pool has a worker that answers."""
        workers = self._call("POST", f"work_pools/{pool}/workers/filter", {}) or []
        return any(worker["status"] == "ONLINE" for worker in workers)

    def remove_worker(self, pool: str, name: str) -> None:
        """Remove a worker that has stopped: Prefect would count it as online for a while."""
        self._call("DELETE", f"work_pools/{pool}/workers/{name}")

    def begins(self, run: str, seconds: float) -> bool:
        """Wait until a worker has begun a run; return whether it has."""
        return wait_until(lambda: self._state(run)["type"] not in ("SCHEDULED", "PENDING"), seconds, pause=1)

    def cancel(self, run: str) -> None:
        """Ask the worker to stop a run."""
        self._call("POST", f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}, "force": False})

    def mark_crashed(self, pool: str, message: str) -> list[str]:
        """Mark the begun runs of a work pool, and those that they have started, as crashed; return their names."""
        alive = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
        state = {"type": "CRASHED", "name": "Crashed", "message": message}
        names = []
        for run in self._family(alive, work_pools={"name": {"any_": [pool]}}):
            self._call("POST", f"flow_runs/{run['id']}/set_state", {"state": state, "force": False})
            names.append(str(run["name"]))
        return names

    def url(self, run: str) -> str:
        """Return the address of a run's page."""
        return f"{self._settings.address('prefect')}/runs/flow-run/{run}"

    def wait(self, run: str, pause: float = 0.5) -> Run:
        """Wait until a run ends; its log is left to others."""
        while (state := self._state(run))["type"] not in (*ENDED, WAITING):
            time.sleep(pause)
        return self._run(run, state)

    def follow(self, run: str, report: Reporter, pause: float = 1.0) -> Run:
        """Report the log of a run and of the runs that it starts, until it ends; look every `pause` seconds."""
        reported: dict[str, datetime] = {}
        flows = {run: self._flow(self._call("GET", f"flow_runs/{run}")["flow_id"])}
        final = {*ENDED, WAITING}
        while True:
            state = self._state(run)
            if state["type"] in final:
                self._await_last_line(run, 2 * pause)
                state = self._state(run)  # a replay that has crashed is started again
            for line in self._news(flows, reported):
                report(line)
            if state["type"] in final:
                return self._run(run, state)
            time.sleep(pause)

    def _await_last_line(self, run: str, seconds: float) -> None:
        """Wait for the last line of an ended run, which reaches the server after the state; a killed run has none."""
        newest = {"logs": {"flow_run_id": {"any_": [run]}}, "sort": "TIMESTAMP_DESC", "limit": 1}

        def written() -> bool:
            return any(LAST_LINE in line["message"] for line in self._call("POST", "logs/filter", newest) or [])

        wait_until(written, seconds, pause=0.2)

    def _news(self, flows: dict[str, str], reported: dict[str, datetime]) -> Iterator[str]:
        """Yield the log lines that are new, oldest first.

        Args:
            flows: id of each run -> name of its flow; the runs that they have started are added.
            reported: id of each line that was reported -> its instant; new ones are added.
        """
        while children := self._call("POST", "flow_runs/filter", {"flow_runs": _children(flows)}):
            flows |= {str(child["id"]): self._flow(child["flow_id"]) for child in children}
        lines: dict[str, Any] = {"flow_run_id": {"any_": [*flows]}}
        if reported:
            lines["timestamp"] = {"after_": (max(reported.values()) - LATE).isoformat()}
        question = {"logs": lines, "sort": "TIMESTAMP_ASC"}
        for entry in self._pages("logs/filter", question):
            if entry["id"] in reported or entry["level"] < logging.INFO or entry["name"] in NOISE:
                continue
            at = datetime.fromisoformat(entry["timestamp"])
            reported[entry["id"]] = at
            message = entry["message"].partition("\nTraceback")[0]  # the whole of it stands on the run's page
            task = (
                message == FINISHED and entry["task_run_id"] and self._call("GET", f"task_runs/{entry['task_run_id']}")
            )
            if task:  # it may be written down later than its log; of ``fetch-1a2``, the task is ``fetch``
                message = f"{task['name'].rpartition('-')[0].replace('_', ' ')} done"
            level = LEVELS.get(entry["level"] // 10 * 10, "")
            yield f"  {at.astimezone():%H:%M:%S} {flows[entry['flow_run_id']]:<9} {level}{message}"

    def _pages(self, path: str, question: Mapping[str, Any]) -> Iterator[Any]:
        """Yield all that a filter selects, read page by page."""
        page, offset = [None] * PAGE, 0
        while len(page) == PAGE:
            page = self._call("POST", path, {**question, "limit": PAGE, "offset": offset})
            offset += len(page)
            yield from page

    def _family(self, runs: Mapping[str, Any], **question: Any) -> Iterator[Any]:
        """Yield the flow runs that a filter selects, and those that they have started, from generation to generation.

        The states that the filter asks for are those of all generations.
        """
        states = {key: value for key, value in runs.items() if key == "state"}
        generation = self._call("POST", "flow_runs/filter", {"flow_runs": runs, **question})
        while generation:
            yield from generation
            children = states | {"parent_flow_run_id": {"any_": [run["id"] for run in generation]}}
            generation = self._call("POST", "flow_runs/filter", {"flow_runs": children})

    def _flow(self, flow: str) -> str:
        if flow not in self._flows:
            self._flows[flow] = str(self._call("GET", f"flows/{flow}")["name"])
        return self._flows[flow]

    def _run(self, run: str, state: Mapping[str, Any]) -> Run:
        waits = f"waits for an answer at {self.url(run)}" if state["type"] == WAITING else ""
        return Run(run, state["type"], self.url(run), waits or state.get("message") or "")

    def _state(self, run: str) -> Any:
        return (self._call("GET", f"flow_runs/{run}") or {})["state"]

    def _deployment(self, flow: str, project: str) -> str | None:
        """Return the id of a deployment; None when it is not registered."""
        deployment = self._call("GET", f"deployments/name/{flow}/{project}")
        return str(deployment["id"]) if deployment else None

    def _of_deployment(self, flow: str, project: str, states: Mapping[str, Any], **question: Any) -> Any:
        """Return the runs of a deployment in some states; none when it is not registered."""
        if (deployment := self._deployment(flow, project)) is None:
            return []
        runs = {"deployment_id": {"any_": [deployment]}, "state": {"type": states}}
        return self._call("POST", "flow_runs/filter", {"flow_runs": runs, **question})


def _children(flows: Collection[str]) -> dict[str, Any]:
    """Return the filter of the runs that some runs have started, but for those that are among them."""
    return {"parent_flow_run_id": {"any_": [*flows]}, "id": {"not_any_": [*flows]}}
