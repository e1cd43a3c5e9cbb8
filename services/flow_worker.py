"""A Prefect worker that runs the stack's own flows by its own command, whatever a deployment or work pool says.

Prefect lets a deployment name a shell command, an environment, a working directory and steps that prepare the run, so
that everybody who reaches its API could run commands as the worker's user.
"""

import asyncio
import re
import signal
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse, WorkerFlowRunResponse
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter
from prefect.settings import PREFECT_WORKER_HEARTBEAT_SECONDS
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult
from typing_extensions import override

from stack.core import wall_clock
from stack.core.errors import StackError
from stack.core.settings import settings

ENTRYPOINT = re.compile(r"flows\.\w+\.\w+")
"""A flow of the package ``flows``, as :mod:`flows.deployments` registers it."""
SCHEDULED = EventNameFilter(name=[f"prefect.flow-run.{state}" for state in ("Scheduled", "AwaitingRetry", "Resuming")])
PAUSE_SECONDS = 5.0
"""After the connection to the events has failed."""


class FixedConfiguration(ProcessJobConfiguration):
    """The configuration of a run, of which the command, environment and working directory are the worker's."""

    @override
    def prepare_for_flow_run(self, *args: Any, **kwargs: Any) -> None:
        self.command, self.env, self.working_dir = None, {}, None
        super().prepare_for_flow_run(*args, **kwargs)


class FlowWorker(ProcessWorker):
    """A process worker that refuses runs of foreign deployments, and starts others as soon as they are scheduled."""

    job_configuration = FixedConfiguration

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        self._asking = asyncio.Lock()

    @override
    async def start(self, *given: Any, **named: Any) -> None:
        listening = asyncio.create_task(self._listen())
        try:
            await super().start(*given, **named)
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        """Ask for runs when an event says that one is scheduled; where no events come, the polls find it later."""
        while True:
            with suppress(Exception):
                async with get_events_subscriber(EventFilter(event=SCHEDULED), reconnect_on_clean_close=True) as events:
                    async for _ in events:
                        await self.get_and_submit_flow_runs()
            await asyncio.sleep(PAUSE_SECONDS)

    @override
    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        async with self._asking:  # a run that was given twice would be submitted twice
            return await super().get_and_submit_flow_runs()

    @override
    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """Return the runs to start; a schedule's run that is due by a clock that has jumped waits for its time."""
        due = wall_clock.observe(settings()).now + timedelta(seconds=self._prefetch_seconds)
        return [
            response
            for response in await super()._get_scheduled_flow_runs()
            if not response.flow_run.auto_scheduled
            or response.flow_run.next_scheduled_start_time is None
            or response.flow_run.next_scheduled_start_time <= due
        ]

    @override
    async def run(
        self, flow_run: FlowRun, configuration: ProcessJobConfiguration, task_status: TaskStatus[int] | None = None
    ) -> ProcessWorkerResult:
        deployment = await self.client.read_deployment(flow_run.deployment_id) if flow_run.deployment_id else None
        if problem := foreign(deployment):
            raise StackError(
                f"flow run {flow_run.name}",
                found=problem,
                expected="a deployment that the stack has registered",
                todo="start the flow by `make` or by the stack's own deployment in Prefect's UI",
            )
        return await super().run(flow_run, configuration, task_status)


def foreign(deployment: DeploymentResponse | None) -> str | None:
    """Return why a deployment is none of the stack's; None when it is one."""
    if deployment is None:
        return "no deployment"
    if not ENTRYPOINT.fullmatch(deployment.entrypoint or ""):
        return f"the entrypoint {deployment.entrypoint!r}"
    if deployment.pull_steps:
        return "steps that run before the flow"
    return None


def work(pool: str, name: str, *, with_healthcheck: bool = False) -> None:
    """Run the flows of a work pool until the process is asked to end.

    Args:
        pool: name of the work pool.
        name: of this worker, as Prefect shows it.
        with_healthcheck: answer health checks at PREFECT_WORKER_WEBSERVER_HOST and _PORT.
    """
    worker = FlowWorker(
        work_pool_name=pool, name=name, heartbeat_interval_seconds=int(PREFECT_WORKER_HEARTBEAT_SECONDS.value())
    )
    asyncio.run(_until_asked_to_end(worker.start(with_healthcheck=with_healthcheck)))


async def _until_asked_to_end(work: Awaitable[None]) -> None:
    """Await the work; a signal to end cancels it.

    Prefect's own handlers raise KeyboardInterrupt in whatever the event loop does, which may suppress it.
    """
    task = asyncio.ensure_future(work)
    for sign in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(sign, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
