"""Two copies of the prediction service behind the gateway: both answer, and both swap when an alias moves."""

import asyncio
import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest

from stack.ops import lan
from stack.project import Project
from stack.registry.registry import PREVIOUS
from stack.specification import example, specs
from tests.compose.conftest import PASSWORD, Containers
from tests.polling import PATIENCE_SECONDS, eventually

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
CLIENTS, SWAPS = 4, 3


class Answer(NamedTuple):
    sent: float
    received: float
    version: str


@pytest.fixture
def versions(containers: Containers) -> Iterator[list[str]]:
    """The champion's version, and another one of the same run, which is gone afterwards."""
    registry = Project(containers.settings, FLIGHTS).registry
    champion = registry.require_champion()
    url = f"{containers.settings.mlflow_url}/api/2.0/mlflow/model-versions/create"
    body = {"name": champion.name, "source": f"models:/{champion.name}/{champion.version}", "run_id": champion.run_id}
    other = httpx.post(url, json=body, timeout=PATIENCE_SECONDS, trust_env=False).raise_for_status().json()
    second = str(other["model_version"]["version"])
    yield [champion.version, second]
    registry.restore_champion(champion.version)
    registry.drop_alias(PREVIOUS)
    registry.delete(second)


def test_both_copies_have_the_name_that_the_gateway_asks(containers: Containers) -> None:
    assert containers.every()["prediction"].health == containers.every()["prediction-copies"].health == "healthy"
    look = "import socket; print(len({found[4][0] for found in socket.getaddrinfo('prediction', None)}))"
    command = ["docker", "exec", f"{containers.settings.name}-portal-1", "python", "-c", look]
    assert subprocess.check_output(command, text=True).strip() == "2"


def test_no_request_fails_while_both_copies_swap(containers: Containers, versions: list[str]) -> None:
    """Whoever asks gets an answer, and after a swap soon that of the new version alone."""
    registry = Project(containers.settings, FLIGHTS).registry
    site = containers.settings.through_gateway("prediction", "localhost")
    trusting = ssl.create_default_context(
        cadata=lan.authority(containers.settings.through_gateway("portal", "127.0.0.1"))
    )
    answers, over = list[Answer](), asyncio.Event()

    async def ask() -> None:
        async with httpx.AsyncClient(
            verify=trusting, trust_env=False, timeout=PATIENCE_SECONDS, auth=(lan.USER, PASSWORD)
        ) as client:
            while not over.is_set():
                sent = time.monotonic()
                answer = await client.post(
                    f"{site}/flights/predict",
                    content=example.body(FLIGHTS),
                    headers={"Content-Type": "application/json"},
                )
                version = json.loads(answer.raise_for_status().content)[0]["model_version"]
                answers.append(Answer(sent, time.monotonic(), version))

    def heard(version: str, since: float) -> bool:
        """Whether the last answers are the version's, whichever copy gave them."""
        recent = [answer.version for answer in answers if answer.sent > since][-50:]
        return len(recent) == 50 and set(recent) == {version}

    async def swap(version: str) -> float:
        """Move the alias; returns for how many seconds both versions answered."""
        moved = time.monotonic()
        await asyncio.to_thread(registry.set_champion, version)
        await asyncio.to_thread(eventually, lambda: heard(version, moved))
        since = [answer for answer in answers if answer.received > moved]
        first = min(answer.received for answer in since if answer.version == version)
        return max((answer.received - first for answer in since if answer.version != version), default=0.0)

    async def swaps() -> list[float]:
        async with asyncio.TaskGroup() as clients:
            for _ in range(CLIENTS):
                clients.create_task(ask())
            seconds = [await swap(version) for version in versions[::-1] * SWAPS]
            over.set()
        return seconds

    seconds = asyncio.run(swaps())
    print(
        f"{len(answers):,} answers; after {len(seconds)} swaps both versions answered for {max(seconds):.2f} s at most"
    )
    assert {answer.version for answer in answers} == set(versions)
