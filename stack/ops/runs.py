"""Start a Prefect deployment and follow its run to the end, over Prefect's REST API.

Source: https://docs.prefect.io/v3/api-ref/rest-api. Prefect's own client takes seconds to import.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.core.wait import wait_until

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
WAITING = "PAUSED"
"""A run that waits for a person has done its work so far; it is not followed further."""
PAGE = 200
INFO = 20
LEVELS = {20: "", 30: "warning: ", 40: "error: ", 50: "error: "}
NOISE = {"prefect.flow_runs.worker", "prefect.flow_runs.runner"}
FINISHED = "Finished in state Completed()"
BUSY_SECONDS = 30.0
"""Prefect answers 503 where its database is busy, as just after the start; nothing has been done then."""


@dataclass(frozen=True)
class Outcome:
    """How a flow run ended."""

    url: str
    state: str
    """COMPLETED, FAILED, CRASHED, CANCELLED or PAUSED."""
    message: str

    @property
    def good(self) -> bool:
        """Whether the run did its work."""
        return self.state in ("COMPLETED", WAITING)


@dataclass(frozen=True)
class Run:
    """A flow run, and how far it is."""

    id: str
    state: str

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ENDED


class Runs:
    """Flow runs of one stack's Prefect server.

    Args:
        settings: the stack.
        patience: seconds for which a server that is restarting or overloaded is asked again.
    """

    def __init__(self, settings: Settings, patience: float = 0.0) -> None:
        self._settings, self._patience = settings, patience
        self._http = httpx.Client(
            base_url=f"{settings.prefect_url}/api/",
            timeout=30,
            limits=httpx.Limits(max_keepalive_connections=0),  # the server hangs up after an error
            trust_env=False,
        )
        self._flows: dict[str, str] = {}

    def start(self, flow: str, project: str, parameters: Mapping[str, Any]) -> str:
        """Start a run of the deployment ``<flow>/<project>``.

        Returns:
            The run's id.

        Raises:
            StackError: there is no such deployment, or Prefect refuses the parameters.
        """
        deployment = self._call("GET", f"deployments/name/{flow}/{project}")
        if deployment is None:
            raise StackError(
                f"deployment {flow}/{project}",
                found="not registered",
                expected="a project with a valid project.yaml",
                todo="run `make up`, which registers every project, and read its output",
            )
        run = self._call("POST", f"deployments/{deployment['id']}/create_flow_run", {"parameters": dict(parameters)})
        return str((run or {})["id"])

    def active(self, flow: str, project: str) -> str | None:
        """Return the id of a run of the deployment that has not ended yet."""
        deployment = self._call("GET", f"deployments/name/{flow}/{project}")
        if deployment is None:
            return None
        question = {
            "flow_runs": {
                "deployment_id": {"any_": [deployment["id"]]},
                "state": {"type": {"any_": ["SCHEDULED", "PENDING", "RUNNING"]}},
            },
            "limit": 1,
        }
        runs = self._call("POST", "flow_runs/filter", question)
        return str(runs[0]["id"]) if runs else None

    def last(self, flow: str, project: str, parameters: Mapping[str, datetime]) -> Run | None:
        """Return the newest run of the deployment with these instants among its parameters, cancelled ones apart."""
        deployment = self._call("GET", f"deployments/name/{flow}/{project}")
        if deployment is None:
            return None
        question = {
            "flow_runs": {
                "deployment_id": {"any_": [deployment["id"]]},
                "state": {"type": {"not_any_": ["CANCELLED", "CANCELLING"]}},
            },
            "sort": "EXPECTED_START_TIME_DESC",
            "limit": PAGE,
        }
        for run in self._call("POST", "flow_runs/filter", question):
            given = run["parameters"]
            if all(given.get(name) and _same(given[name], instant) for name, instant in parameters.items()):
                return Run(run["id"], run["state"]["type"])
        return None

    def online(self, pool: str) -> bool:
        """Return whether a work pool has a worker that answers."""
        return any(
            worker["status"] == "ONLINE" for worker in self._call("POST", f"work_pools/{pool}/workers/filter", {}) or []
        )

    def begins(self, run: str, seconds: float) -> bool:
        """Wait until a worker has begun a run; return whether one has."""

        def taken() -> bool:
            return self._call("GET", f"flow_runs/{run}")["state"]["type"] not in ("SCHEDULED", "PENDING")

        return wait_until(taken, seconds, pause=1)

    def cancel(self, run: str) -> None:
        """Ask the worker to stop a run."""
        self._call("POST", f"flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}, "force": False})

    def mark_crashed(self, pool: str, message: str) -> list[str]:
        """Mark the runs of a work pool that have begun and not ended, and the runs that they have started, as crashed.

        Returns:
            Their names.
        """
        alive = {"state": {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}}
        wave = self._call("POST", "flow_runs/filter", {"flow_runs": alive, "work_pools": {"name": {"any_": [pool]}}})
        names = []
        while wave:
            for run in wave:
                state = {"type": "CRASHED", "name": "Crashed", "message": message}
                self._call("POST", f"flow_runs/{run['id']}/set_state", {"state": state, "force": False})
                names.append(str(run["name"]))
            children = alive | {"parent_flow_run_id": {"any_": [run["id"] for run in wave]}}
            wave = self._call("POST", "flow_runs/filter", {"flow_runs": children})
        return names

    def url(self, run: str) -> str:
        """Return the address of a run's page."""
        return f"{self._settings.address('prefect')}/runs/flow-run/{run}"

    def follow(self, run: str, report: Callable[[str], None], pause: float = 1.0) -> Outcome:
        """Report the log of a run and of the runs that it starts, until it ends.

        Args:
            run: id of the flow run.
            report: receives each line.
            pause: seconds between two looks.
        """
        seen: set[str] = set()
        while True:
            state = (self._call("GET", f"flow_runs/{run}") or {})["state"]
            over = state["type"] in {*ENDED, WAITING}
            if over:
                time.sleep(2 * pause)  # the last lines of a log reach the server after the state
                state = (self._call("GET", f"flow_runs/{run}") or {})["state"]
                over = state["type"] in {*ENDED, WAITING}  # a replay that has crashed is started again
            for line in self._news(run, seen):
                report(line)
            if over:
                waits = f"waits for an answer at {self.url(run)}" if state["type"] == WAITING else ""
                return Outcome(self.url(run), state["type"], waits or state.get("message") or "")
            time.sleep(pause)

    def _news(self, run: str, seen: set[str]) -> Iterator[str]:
        """Yield the log lines that are new, oldest first."""
        flows = self._family(run)
        for entry in self._log(list(flows)):
            if entry["id"] in seen or entry["level"] < INFO or entry["name"] in NOISE:
                continue
            seen.add(entry["id"])
            message = entry["message"].partition("\nTraceback")[0]  # the whole of it stands on the run's page
            if message == FINISHED and entry["task_run_id"]:
                message = f"{self._task(entry['task_run_id'])} done"
            at = datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")).astimezone()
            level = LEVELS.get(entry["level"] // 10 * 10, "")
            yield f"  {at:%H:%M:%S} {flows[entry['flow_run_id']]:<9} {level}{message}"

    def _log(self, flow_runs: Sequence[str]) -> Iterator[Any]:
        """Yield every log entry of the flow runs, by time."""
        question = {"logs": {"flow_run_id": {"any_": flow_runs}}, "sort": "TIMESTAMP_ASC", "limit": PAGE}
        offset = 0
        while page := self._call("POST", "logs/filter", question | {"offset": offset}):
            yield from page
            offset += len(page)

    def _task(self, task_run: str) -> str:
        """Return the name of a task run's task: ``fetch`` of ``fetch-1a2``."""
        return str(self._call("GET", f"task_runs/{task_run}")["name"]).rpartition("-")[0].replace("_", " ")

    def _family(self, run: str) -> dict[str, str]:
        """Return the ids of a run and of the runs that it has started, each with the name of its flow."""
        family: dict[str, str] = {}
        wave = self._call("POST", "flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})
        while wave:
            for flow_run in wave:
                family[flow_run["id"]] = self._flow(flow_run["flow_id"])
            children = {"flow_runs": {"parent_flow_run_id": {"any_": [flow_run["id"] for flow_run in wave]}}}
            wave = self._call("POST", "flow_runs/filter", children)
        return family

    def _flow(self, flow: str) -> str:
        if flow not in self._flows:
            self._flows[flow] = str(self._call("GET", f"flows/{flow}")["name"])
        return self._flows[flow]

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the API; None when there is no such thing.

        Raises:
            StackError: no answer, or a refusal.
        """
        try:
            answer = self._answer(method, path, body)
        except httpx.HTTPError as error:
            raise StackError(
                f"Prefect at {self._settings.prefect_url}",
                found=str(error) or type(error).__name__,
                expected="an answer",
                todo="run `make up`, or look with `make status`",
            ) from None
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        if answer.is_error:
            raise StackError(
                f"Prefect, {path}",
                found=f"HTTP {answer.status_code}: {answer.text[:500]}",
                expected="parameters that the flow takes",
                todo="compare with the flow in flows/",
            )
        return answer.json()

    def _answer(self, method: str, path: str, body: Mapping[str, Any] | None) -> httpx.Response:
        """Ask until the patience is over; a server that is busy is always asked again."""
        began = time.monotonic()
        deadline, busy = began + self._patience, began + max(self._patience, BUSY_SECONDS)
        while True:
            try:
                answer = self._http.request(method, path, json=body)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
            else:
                asked_enough = busy if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else deadline
                if not answer.is_server_error or time.monotonic() > asked_enough:
                    return answer
            time.sleep(1)


def _same(given: str, instant: datetime) -> bool:
    """Compare a parameter as Prefect stores it."""
    return datetime.fromisoformat(given.replace("Z", "+00:00")) == instant
