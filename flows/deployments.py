"""The deployments of the stack in Prefect: one of each flow and project, in the work pools.

``python -m flows.deployments`` registers them and the automations, and deletes those of a project whose folder is
gone; running it again changes nothing.
"""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy, VersionInfo
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker

from flows import automations
from flows.fit import POOL as TRAINING_POOL
from flows.fit import fit
from flows.ingest import ingest
from flows.monitor import monitor
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
from stack.core.settings import settings
from stack.ops.prefect_api import PrefectApi
from stack.specification import specs
from stack.specification.specs import ProjectSpec

POOL = "stack"
FLOWS = (ingest, train, sweep, fit, promote, rollback, reproduce, predict, monitor, skew, pipeline, replay, report)
# One run of a flow and project at a time; a second one is cancelled, as it would do the same work again.
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
SCHEDULE = "project-yaml"
"""Slug of the schedules that come from project.yaml."""
PAGE = 200
PATIENCE_SECONDS = 600.0
"""Prefect's server starts at the same time, and may take as long as its health check lets it."""


def register() -> list[str]:
    """Register pools, deployments and automations; a project with a broken specification is left out.

    Returns:
        Names of the deployments, ``<flow>/<project>``. Those of projects that are gone are deleted.
    """
    with get_client(sync_client=True) as client:
        create_pools(client)
        existing = registered(client)
        names = [name for spec in specs.load_valid(notices.emit) for name in deploy(client, spec, existing)]
        automations.register(client, automations.mark_dead_runs())
        automations.register(client, automations.resume_replays())
        for project in withdraw(client, existing, set(specs.names())):
            notices.emit(f"deleted: deployments and automation of {project}, as projects/{project} is gone")
    return names


def create_pools(client: SyncPrefectClient) -> None:
    """Create or update the work pools of this machine and of those that join it."""
    template = ProcessWorker.get_default_base_job_template()
    for pool in (POOL, TRAINING_POOL):
        pool_create = WorkPoolCreate(name=pool, type="process", base_job_template=template, concurrency_limit=4)
        client.create_work_pool(pool_create, overwrite=True)


def registered(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Return the deployments of FLOWS by ``<flow>/<project>``; those that a person made are left out."""
    deployments: list[DeploymentResponse] = []
    while page := client.read_deployments(offset=len(deployments), limit=PAGE):
        deployments += page
    flows, by_name = {flow.name for flow in FLOWS}, {}
    for deployment in deployments:
        flow = str(deployment.entrypoint).rpartition(".")[2]
        ours = deployment.tags == [deployment.name] and deployment.work_pool_name in (POOL, TRAINING_POOL)
        if ours and flow in flows:
            by_name[f"{flow}/{deployment.name}"] = deployment
    return by_name


def deploy(client: SyncPrefectClient, spec: ProjectSpec, existing: Mapping[str, DeploymentResponse]) -> list[str]:
    """Create or update the deployments of one project, their schedules, and the automation that retrains it.

    Args:
        client: of the Prefect server.
        spec: the project.
        existing: what is registered; a deployment whose definition is the same is left alone.
    """
    ids = {flow.name: apply(client, flow, spec, existing.get(f"{flow.name}/{spec.name}")) for flow in FLOWS}
    automations.register(client, automations.retrain_on_drift(spec.name, ids[train.name]))
    return [f"{flow}/{spec.name}" for flow in ids]


def apply(
    client: SyncPrefectClient, flow: Flow[..., Any], spec: ProjectSpec, existing: DeploymentResponse | None
) -> UUID:
    """Create or update the deployment of a flow, unless its definition is the same; return its id."""
    deployment = definition(flow, spec)
    if existing and existing.version == deployment.version:
        return existing.id
    deployment.paused = existing.paused if existing else None
    # Typed as perhaps awaitable; outside an event loop it is not. Without a version it would ask git for one.
    info = VersionInfo(type="prefect:simple", version=str(deployment.version))
    deployment_id = cast(UUID, deployment.apply(version_info=info))
    for schedule in existing.schedules if existing and not deployment.schedules else ():
        # Those that were made in Prefect's UI stay.
        if schedule.slug == SCHEDULE:
            client.delete_deployment_schedule(deployment_id, schedule.id)
    return deployment_id


def definition(flow: Flow[..., Any], spec: ProjectSpec) -> RunnerDeployment:
    """Return the deployment of a flow and project; its version is a hash of all that defines it."""
    cron = spec.schedules.crons.get(flow.name)
    given = {"scheduled": True} if flow is predict else None
    deployment = RunnerDeployment.from_flow(
        flow,
        name=spec.name,
        parameters={"project": spec.name},
        tags=[spec.name],
        work_pool_name=TRAINING_POOL if flow is fit else POOL,
        concurrency_limit=ONE_AT_A_TIME,
        schedules=[Cron(cron, timezone=spec.schedules.timezone, slug=SCHEDULE, parameters=given)] if cron else [],
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    content = deployment.model_dump_json(exclude={"version"}) + parameter_schema(flow).model_dump_json()
    deployment.version = sha256(content.encode()).hexdigest()[:12]
    return deployment


def withdraw(client: SyncPrefectClient, existing: Mapping[str, DeploymentResponse], names: set[str]) -> list[str]:
    """Delete the deployments and automations of projects that are none of `names`; return the projects' names."""
    orphans = [deployment for deployment in existing.values() if deployment.name not in names]
    for deployment in orphans:
        client.delete_deployment(deployment.id)
    projects = sorted({deployment.name for deployment in orphans})
    for project in projects:
        for automation in client.read_automations_by_name(automations.retraining_name(project)):
            client.delete_automation(automation.id)
    return projects


if __name__ == "__main__":
    PrefectApi(settings(), PATIENCE_SECONDS).call("GET", "health")
    print(f"{len(register())} deployments registered")
