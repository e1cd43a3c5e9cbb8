"""The runs of one project: those under way, those that are due, and what awaits a person's answer."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.ops.prefect_api import PrefectApi
from stack.ops.runs import NOISE

ACTIVE = ("PENDING", "RUNNING", "CANCELLING", "PAUSED")
RETRAINING = "Retrain {} on drift"
"""Name of the automation that answers a project's drift event."""


@dataclass(frozen=True)
class ProjectRun:
    """A run of a project's deployments."""

    id: str
    flow: str
    state: str
    """Name of its state, as Prefect has it: Scheduled, Running, Completed, Failed, ..."""
    type: str
    """The kind of state: RUNNING, PAUSED, COMPLETED, ..."""
    at: datetime
    """When it began, or is due."""
    lasted: timedelta
    message: str = ""
    """The last line of its log while it runs, else the reason for its state."""


class ProjectRuns:
    """The runs of a project, in Prefect.

    Every method raises a :exc:`StackError` where Prefect does not answer.
    """

    def __init__(self, settings: Settings, project: str) -> None:
        self._call, self._project = PrefectApi(settings).call, project

    def recent(self, limit: int = 8) -> list[ProjectRun]:
        """Return the last runs that began, the newest first; one under way with the last line of its log."""
        states = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}
        return [*self._runs(states, limit, "START_TIME_DESC")]

    def due(self, limit: int = 5) -> list[ProjectRun]:
        """Return the runs that are scheduled, the next one first."""
        states = {"state": {"type": {"any_": ["SCHEDULED"]}}}
        return [*self._runs(states, limit, "EXPECTED_START_TIME_ASC")]

    def awaiting(self) -> ProjectRun | None:
        """Return the gate's run that awaits a person's answer, if any."""
        paused = self._runs({"state": {"type": {"any_": ["PAUSED"]}}}, 10, "START_TIME_DESC")
        return next((run for run in paused if run.flow == "promote"), None)

    def answer(self, *, approve: bool, comment: str) -> None:
        """Answer the run that awaits it: promote its version, or refuse it.

        Raises:
            StackError: none is waiting, or Prefect refuses the answer.
        """
        run = self.awaiting()
        if run is None:
            raise StackError(
                f"project {self._project}",
                found="no version that is awaiting approval",
                expected="a run of the gate that waits for an answer",
                todo=f"make audit PROJECT={self._project} shows what was decided",
            )
        given = {"run_input": {"approve": approve, "comment": comment}}
        result = self._call("POST", f"flow_runs/{run.id}/resume", given) or {}
        if result.get("status") != "ACCEPT":
            raise StackError(
                f"run {run.id}",
                found=str((result.get("details") or {}).get("reason", "no answer")),
                expected="a run that can go on",
                todo="open it in Prefect",
            )

    @property
    def paused(self) -> bool:
        """Whether the project is paused: nothing of it starts by itself."""
        deployments = self._deployments()
        return bool(deployments) and all(deployment["paused"] for deployment in deployments)

    def pause(self, *, paused: bool) -> None:
        """Stop schedules and retraining on drift, or let them start again; what runs goes on."""
        verb = "pause_deployment" if paused else "resume_deployment"
        for deployment in self._deployments():
            self._call("POST", f"deployments/{deployment['id']}/{verb}")
        named = {"automations": {"name": {"any_": [RETRAINING.format(self._project)]}}}
        for automation in self._call("POST", "automations/filter", named) or []:
            self._call("PATCH", f"automations/{automation['id']}", {"enabled": not paused})

    def _deployments(self) -> Any:
        named = {"deployments": {"name": {"any_": [self._project]}}, "limit": 200}
        return self._call("POST", "deployments/filter", named) or []

    def _runs(self, states: Mapping[str, Any], limit: int, sort: str) -> Iterator[ProjectRun]:
        question = {"deployments": {"name": {"any_": [self._project]}}, "flow_runs": states}
        found = self._call("POST", "flow_runs/filter", {**question, "sort": sort, "limit": limit}) or []
        flows = self._flows({str(run["flow_id"]) for run in found})
        for run in found:
            state = run["state"] or {}
            message = self._last_line(run["id"]) if state.get("type") == "RUNNING" else state.get("message") or ""
            yield ProjectRun(
                id=str(run["id"]),
                flow=flows.get(str(run["flow_id"]), ""),
                state=str(state.get("name", "")),
                type=str(state.get("type", "")),
                at=_instant(run["start_time"] or run["expected_start_time"]),
                lasted=timedelta(seconds=round(run["total_run_time"] or run["estimated_run_time"] or 0)),
                message=message.splitlines()[0] if message else "",
            )

    def _flows(self, ids: set[str]) -> dict[str, str]:
        if not ids:
            return {}
        found = self._call("POST", "flows/filter", {"flows": {"id": {"any_": sorted(ids)}}}) or []
        return {str(flow["id"]): str(flow["name"]) for flow in found}

    def _last_line(self, run: str) -> str:
        """Return the last line of the log of a run and of those that it has started."""
        children = self._call("POST", "flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}}) or []
        logs = {"flow_run_id": {"any_": [run, *(child["id"] for child in children)]}, "level": {"ge_": logging.INFO}}
        lines = self._call("POST", "logs/filter", {"logs": logs, "sort": "TIMESTAMP_DESC", "limit": 5}) or []
        return next((str(line["message"]) for line in lines if line["name"] not in NOISE), "")


def _instant(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.now(UTC)
