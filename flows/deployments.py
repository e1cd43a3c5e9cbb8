"""What Prefect knows of the stack: one deployment a flow and project, the work pool, and the automations.

``python -m flows.deployments`` registers all of it, and withdraws what belongs to a project whose folder is gone;
running it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    StateType,
    VersionInfo,
)
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from flows.fit import POOL as TRAINING
from flows.fit import fit
from flows.ingest import ingest
from flows.monitor import DRIFT_DETECTED, monitor
from flows.pipeline import pipeline
from flows.predict import predict
from flows.promote import promote
from flows.replay import replay
from flows.report import report
from flows.reproduce import reproduce
from flows.rollback import rollback
from flows.skew import skew
from flows.sweep import sweep
from flows.train import train
from stack.core import notices
from stack.specification import specs
from stack.specification.specs import ProjectSpec

POOL = "stack"
FLOWS: tuple[Flow[..., Any], ...] = (
    ingest,
    train,
    sweep,
    fit,
    promote,
    rollback,
    reproduce,
    predict,
    monitor,
    skew,
    pipeline,
    replay,
    report,
)
# One run of a flow and project at a time; a second one is cancelled, as it would do the same work again.
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
SCHEDULE = "project-yaml"
"""Slug of the schedules that come from project.yaml."""
PAGE = 200
HEARTBEAT = "prefect.flow-run.heartbeat"
# Suspended: it has no process while it waits for a person.
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed", "Suspended")}
STARTS = 6
"""Of a replay, the first one among them: what kills its process each time is not tried for ever."""


def register() -> list[str]:
    """Register pool, deployments and automations; a project with a broken specification is left out.

    Returns:
        Names of the deployments, ``<flow>/<project>``. Those of projects that are gone are withdrawn.
    """
    with get_client(sync_client=True) as client:
        create_pools(client)
        known = registered(client)
        made = [name for spec in specs.sound(notices.emit) for name in deploy(client, spec, known)]
        put(client, mark_dead_runs())
        put(client, take_up_replays())
        for gone in withdraw(client, known, set(specs.names())):
            notices.emit(f"withdrawn: deployments and automation of {gone}, as projects/{gone} is gone")
    return made


def create_pools(client: SyncPrefectClient) -> None:
    """Create the work pools of this machine and of those that join it, or bring them up to date."""
    template = ProcessWorker.get_default_base_job_template()
    for pool in (POOL, TRAINING):
        wanted = WorkPoolCreate(name=pool, type="process", base_job_template=template, concurrency_limit=4)
        client.create_work_pool(wanted, overwrite=True)


def registered(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """The deployments of our flows in Prefect, ``<flow>/<project>``; those that were made by hand are not ours."""
    found: list[DeploymentResponse] = []
    while page := client.read_deployments(offset=len(found), limit=PAGE):
        found += page
    flows = {flow.name for flow in FLOWS}
    ours = [(str(one.entrypoint).rpartition(".")[2], one) for one in found if one.tags == [one.name]]
    return {f"{flow}/{one.name}": one for flow, one in ours if flow in flows and one.work_pool_name in (POOL, TRAINING)}


def deploy(client: SyncPrefectClient, spec: ProjectSpec, known: Mapping[str, DeploymentResponse]) -> list[str]:
    """Create or update the deployments of one project, their schedules, and the automation that retrains it.

    Args:
        client: of the Prefect server.
        spec: the project.
        known: what is registered; a deployment whose definition is the same is left alone.
    """
    name, schedules = spec.name, spec.schedules
    ids: dict[str, UUID] = {}
    for flow in FLOWS:
        cron = schedules.crons.get(flow.name)
        deployment = RunnerDeployment.from_flow(
            flow,
            name=name,
            parameters={"project": name},
            tags=[name],
            work_pool_name=TRAINING if flow is fit else POOL,
            concurrency_limit=ONE_AT_A_TIME,
            schedules=[Cron(cron, timezone=schedules.timezone, slug=SCHEDULE)] if cron else [],
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.version, there = version(flow, deployment), known.get(f"{flow.name}/{name}")
        if there and there.version == deployment.version:
            ids[flow.name] = there.id
            continue
        # Typed as perhaps awaitable; outside an event loop it is not. Without a version it would ask git for one.
        info = VersionInfo(type="prefect:simple", version=deployment.version)
        ids[flow.name] = cast(UUID, deployment.apply(version_info=info))
        if there and not cron:
            unschedule(client, there)
    put(client, retrain_on_drift(name, ids[train.name]))
    return [f"{flow}/{name}" for flow in ids]


def version(flow: Flow[..., Any], deployment: RunnerDeployment) -> str:
    """A short name of a deployment's definition and its flow's parameters: another one is registered anew."""
    definition = deployment.model_dump_json(exclude={"version"}) + parameter_schema(flow).model_dump_json()
    return sha256(definition.encode()).hexdigest()[:12]


def unschedule(client: SyncPrefectClient, deployment: DeploymentResponse) -> None:
    """Take away the schedule that project.yaml no longer has; those that were made in Prefect's UI stay."""
    for schedule in deployment.schedules:
        if schedule.slug == SCHEDULE:
            client.delete_deployment_schedule(deployment.id, schedule.id)


def withdraw(client: SyncPrefectClient, known: Mapping[str, DeploymentResponse], names: set[str]) -> list[str]:
    """Delete the deployments and automations of projects that are none of `names`.

    Returns:
        Names of the projects that had some.
    """
    gone = [one for one in known.values() if one.name not in names]
    for one in gone:
        client.delete_deployment(one.id)
    for name in {one.name for one in gone}:
        for automation in client.read_automations_by_name(retraining(name)):
            client.delete_automation(automation.id)
    return sorted({one.name for one in gone})


def retraining(name: str) -> str:
    """Name of the automation that retrains a project."""
    return f"Retrain {name} on drift"


def retrain_on_drift(name: str, deployment: UUID) -> AutomationCore:
    """The automation that answers a project's drift event with its training deployment."""
    of_event = {
        "reason": {"__prefect_kind": "jinja", "template": "{{ event.payload.reason }}"},
        "cutoff": {"__prefect_kind": "jinja", "template": "{{ event.payload.at }}"},
    }
    return AutomationCore(
        name=retraining(name),
        description="The monitoring flow emits the event when the drift policy asks for a new model.",
        trigger=EventTrigger(
            expect={DRIFT_DETECTED},
            match={"prefect.resource.id": f"stack.project.{name}"},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(seconds=0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment, parameters={"project": name} | of_event)],
    )


def mark_dead_runs() -> AutomationCore:
    """The automation that marks a run crashed when its heartbeat has stopped, as after a power cut."""
    return AutomationCore(
        name="Mark dead runs as crashed",
        description="A run whose process is gone would else stand in 'Running' for ever and block the next one.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *ENDED},
            match={"prefect.resource.id": ["prefect.flow-run.*"]},
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=120),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.CRASHED, message="No heartbeat for two minutes: its process died.")
        ],
    )


def take_up_replays() -> AutomationCore:
    """The automation that starts a replay again whose process died: it goes on where it was."""
    return AutomationCore(
        name="Take up killed replays",
        description="Other flows are started again by their schedule, by the next drift event, or by whoever asked.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match={
                "prefect.resource.id": "prefect.flow-run.*",
                "prefect.run-count": [str(count) for count in range(1, STARTS)],
            },
            match_related={"prefect.resource.role": "flow", "prefect.resource.name": replay.name},
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(seconds=0),
        ),
        actions=[
            ChangeFlowRunState(state=StateType.SCHEDULED, name="AwaitingRetry", message="Its process died: it goes on.")
        ],
    )


def put(client: SyncPrefectClient, automation: AutomationCore) -> None:
    """Create the automation, or bring the one of the same name up to date."""
    known = client.read_automations_by_name(automation.name)
    if not known:
        client.create_automation(automation)
        return
    client.update_automation(known[0].id, automation)
    for twin in known[1:]:
        client.delete_automation(twin.id)


if __name__ == "__main__":
    print(f"{len(register())} deployments registered")
