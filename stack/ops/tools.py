"""The user interfaces of the stack: where this process reaches each, and whether it answers."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httpx

from stack.core.settings import Settings

TIMEOUT_SECONDS = 2.0
WORKER = "Prefect worker"


@dataclass(frozen=True)
class Tool:
    """A user interface, as people call it and with what they do there."""

    title: str
    use: str
    service: str
    """Name of its settings: ``<service>_url``, ``<service>_port``."""
    query: str
    """Path that only a working service answers with 2xx."""
    body: Any = None
    """JSON to POST there; GET without."""
    find: str = ""
    """Text that a good answer contains."""
    absent: str = "HTTP 404"
    """What it means when the answer lacks that text, or there is nothing at `query`."""
    page: str = "/"
    """Path of its first page."""
    here: str = ""
    """Path of a page of the portal that shows it instead."""
    profile: str = ""
    """The profile that it is started with, where it is optional."""

    @property
    def log(self) -> str:
        """Name of the service whose log says more."""
        return "worker" if self.title == WORKER else self.service.replace("_", "-")


TOOLS = (
    Tool("Prefect", "Runs, schedules, automations", "prefect", "/api/work_pools/filter", {"limit": 1}),
    Tool(
        WORKER,
        "Executes the runs",
        "prefect",
        "/api/work_pools/stack/workers/filter",
        {},
        '"ONLINE"',
        absent="no worker is online",
        page="/work-pools/work-pool/stack?tab=Workers",
    ),
    Tool(
        "MLflow",
        "Experiments, models, artifacts",
        "mlflow",
        "/api/2.0/mlflow/experiments/search",
        {"max_results": 1},
        "experiments",
        absent="the answer is not MLflow's",
    ),
    Tool("Evidently", "Drift and performance over time", "monitoring", "/healthz"),
    Tool("Prediction API", "Ask a champion; API documentation", "prediction", "/readyz"),
    # The page of the feature server itself loads its scripts from a CDN.
    Tool("Feature server", "Feast's online features; API documentation", "features", "/healthz", here="/features/"),
    Tool("Feast UI", "Feature views and their lineage", "feast_ui", "/healthz", profile="feast-ui"),
)


@dataclass(frozen=True)
class ToolState:
    """Whether a service answers, and what is wrong when it does not; None: it has not been asked yet."""

    up: bool | None
    reason: str = ""


def tools(settings: Settings) -> list[Tool]:
    """Return the user interfaces of this stack."""
    return [tool for tool in TOOLS if not tool.profile or tool.profile in settings.optional]


def inside(settings: Settings, service: str) -> str:
    """Return where this process reaches a service."""
    return str(getattr(settings, f"{service}_url", settings.address(service))).rstrip("/")


async def ask(client: httpx.AsyncClient, settings: Settings, tool: Tool) -> ToolState:
    """Send the tool its query."""
    url = inside(settings, tool.service) + tool.query
    try:
        headers = settings.prefect_headers if tool.service == "prefect" else {}
        answer = await client.request("GET" if tool.body is None else "POST", url, json=tool.body, headers=headers)
    except httpx.TimeoutException:
        return ToolState(False, f"no answer within {TIMEOUT_SECONDS:.0f} s")
    except httpx.HTTPError as error:
        port = getattr(settings, f"{tool.service}_port")
        refused = isinstance(error, httpx.ConnectError)
        return ToolState(False, f"nothing answers on port {port}" if refused else str(error) or type(error).__name__)
    if answer.status_code == HTTPStatus.NOT_FOUND or (answer.is_success and tool.find not in answer.text):
        return ToolState(False, tool.absent)
    return ToolState(True) if answer.is_success else ToolState(False, f"HTTP {answer.status_code}")
