"""The automations of Prefect: retrain on drift, mark dead runs as crashed, resume killed replays."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

from flows.monitor import DRIFT_DETECTED
from flows.replay import replay
from stack.ops.project_runs import RETRAINING

HEARTBEAT = "prefect.flow-run.heartbeat"
# A suspended run has no process while it is awaiting approval.
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "Suspended")}
MAX_STARTS = 6
"""Of a replay, the first start included: one whose process dies each time is not retried for ever."""


def retraining_name(name: str) -> str:
    """Return the name of the automation that retrains a project."""
    return RETRAINING.format(name)


def retrain_on_drift(name: str, deployment: UUID) -> AutomationCore:
    """Answer the drift event of a project with its training deployment."""
    from_event = {
        "reason": {"__prefect_kind": "jinja", "template": "{{ event.payload.reason }}"},
        "cutoff": {"__prefect_kind": "jinja", "template": "{{ event.payload.at }}"},
    }
    return _automation(
        retraining_name(name),
        "The monitoring flow emits the event when the drift policy asks for a new model.",
        RunDeployment(source="selected", deployment_id=deployment, parameters={"project": name} | from_event),
        expect={DRIFT_DETECTED},
        match={"prefect.resource.id": f"stack.project.{name}"},
    )


def mark_dead_runs() -> AutomationCore:
    """Mark a run as crashed when its heartbeat has stopped, as after a power cut."""
    return _automation(
        "Mark dead runs as crashed",
        "Without it a run whose process is gone would stay in 'Running' for ever and block the next one.",
        ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat for two minutes: its process died."),
        after={HEARTBEAT},
        expect={HEARTBEAT, *ENDED},
        match={"prefect.resource.id": ["prefect.flow-run.*"]},
        for_each={"prefect.resource.id"},
        posture=Posture.Proactive,
        within=timedelta(seconds=120),
    )


def resume_replays() -> AutomationCore:
    """Schedule a replay again whose process died: it goes on where it was."""
    starts = [str(count) for count in range(1, MAX_STARTS)]
    return _automation(
        "Take up killed replays",
        "Other flows are started again by their schedule, by the next drift event, or by whoever asked.",
        ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message="Its process died: it goes on."),
        expect={"prefect.flow-run.Crashed"},
        match={"prefect.resource.id": "prefect.flow-run.*", "prefect.run-count": starts},
        match_related={"prefect.resource.role": "flow", "prefect.resource.name": replay.name},
    )


def _automation(name: str, description: str, action: ActionTypes, **trigger: Any) -> AutomationCore:
    """Take one action at each event of a trigger: at once, where the trigger names no posture."""
    reactive = {"posture": Posture.Reactive, "within": timedelta(0)}
    when = EventTrigger(threshold=1, **reactive | trigger)
    return AutomationCore(name=name, description=description, trigger=when, actions=[action])


def register(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Create an automation, or update the one of the same name."""
    existing = client.read_automations_by_name(automation.name)
    if not existing:
        client.create_automation(automation)
        return
    # What a person has switched off, as by pausing the project, stays off.
    client.update_automation(existing[0].id, automation.model_copy(update={"enabled": existing[0].enabled}))
    for twin in existing[1:]:
        client.delete_automation(twin.id)
