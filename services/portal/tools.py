"""The user interfaces of the stack: where a browser finds each, and whether it answers."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

from stack.core.settings import Settings

TIMEOUT_SECONDS = 2.0


@dataclass(frozen=True)
class Tool:
    """A user interface.

    Args:
        title: what people call it.
        use: what one does there.
        service: name of its settings: ``<service>_url``, ``<service>_port``.
        page: path of its first page.
        question: path that only a working service answers with 2xx.
        body: JSON to POST there; GET without.
        find: text that a good answer contains.
        absent: what it means when the answer lacks that text, or there is nothing at `question`.
        here: path of a page of the portal that shows it instead.
    """

    title: str
    use: str
    service: str
    page: str
    question: str
    body: Any = None
    find: str = ""
    absent: str = "HTTP 404"
    here: str = ""


TOOLS = (
    Tool("Prefect", "Runs, schedules, automations", "prefect", "/", "/api/work_pools/filter", {"limit": 1}),
    Tool(
        "Prefect worker",
        "Executes the runs",
        "prefect",
        "/work-pools/work-pool/stack?tab=Workers",
        "/api/work_pools/stack/workers/filter",
        {},
        '"ONLINE"',
        absent="no worker is online",
    ),
    Tool(
        "MLflow",
        "Experiments, models, artifacts",
        "mlflow",
        "/",
        "/api/2.0/mlflow/experiments/search",
        {"max_results": 1},
        "experiments",
        absent="the answer is not MLflow's",
    ),
    Tool("Evidently", "Drift and performance over time", "monitoring", "/", "/api/projects"),
    Tool("Prediction API", "Ask a champion; API documentation", "prediction", "/", "/readyz"),
    # The page of the feature server itself loads its scripts from a CDN.
    Tool(
        "Feature server",
        "Feast's online features; API documentation",
        "features",
        "/docs",
        "/health",
        here="/features/",
    ),
)
FEAST_UI = Tool("Feast UI", "Feature views and their lineage", "feast_ui", "/", "/projects-list.json")


@dataclass(frozen=True)
class State:
    """Whether a service answers, and what is wrong when it does not; None: it has not been asked yet."""

    up: bool | None
    reason: str = ""


def tools(settings: Settings) -> tuple[Tool, ...]:
    """The user interfaces of this stack."""
    return (*TOOLS, FEAST_UI) if "feast-ui" in settings.optional else TOOLS


def inside(settings: Settings, service: str) -> str:
    """Where this process reaches a service."""
    return str(getattr(settings, f"{service}_url", settings.address(service))).rstrip("/")


@dataclass(frozen=True)
class Origin:
    """How the browser has reached the portal."""

    host: str
    """The name or number that it uses; the services of the same machine answer there too, on their own ports."""
    gateway: bool = False
    """Whether it came through the gateway, behind which every service has another port."""


def outside(settings: Settings, service: str, origin: Origin) -> str:
    """Where the user's browser reaches a service; one that the settings put on another machine keeps its address."""
    if origin.gateway:
        return settings.through_gateway(service, origin.host)
    address = inside(settings, service)
    name = urlsplit(address).hostname or ""
    elsewhere = "." in name and name != urlsplit(settings.address(service)).hostname
    return address if elsewhere else f"http://{origin.host}:{getattr(settings, f'{service}_port')}"


async def ask(client: httpx.AsyncClient, settings: Settings, tool: Tool) -> State:
    """Put the tool's question to it."""
    url = inside(settings, tool.service) + tool.question
    try:
        answer = await client.request("GET" if tool.body is None else "POST", url, json=tool.body)
    except httpx.TimeoutException:
        return State(False, f"no answer within {TIMEOUT_SECONDS:.0f} s")
    except httpx.HTTPError as error:
        port = getattr(settings, f"{tool.service}_port")
        refused = isinstance(error, httpx.ConnectError)
        return State(False, f"nothing answers on port {port}" if refused else str(error) or type(error).__name__)
    if answer.status_code == HTTPStatus.NOT_FOUND or (answer.is_success and tool.find not in answer.text):
        return State(False, tool.absent)
    return State(True) if answer.is_success else State(False, f"HTTP {answer.status_code}")
