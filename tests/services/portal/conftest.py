"""A portal of a stack of which no service runs, and what some flows have written there."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator, Mapping

import pytest
from starlette.testclient import TestClient

from services.portal import processes
from services.portal.app import build
from stack.core.settings import Settings
from tests.forks import Forks
from tests.stacks import free_ports

SERVICES = ("prediction", "prefect", "mlflow", "features", "monitoring", "feast_ui")
REPORT = {
    "name": "20130315T000000Z",
    "path": "20130315T000000Z.html",
    "at": "2013-03-15T00:00:00+00:00",
    "rows": 12_345,
    "drift_share": 0.387,
    "missing_share": 0.002,
    "performance": {"log_loss": 0.5, "auc": 0.71, "bias": -0.0123},
    "headline": ["auc", "log_loss"],
    "dashboard": "/projects/p/reports/r",
    "verdict": {"action": "notice", "summary": "Notice: <script>alert(1)</script>", "reasons": []},
}


@pytest.fixture
def home(tmp_path) -> Settings:
    """Settings of a stack of which no service runs."""
    return Settings(
        home=tmp_path,
        **{f"{service}_port": port for service, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True)},
    )


@pytest.fixture
def reported(home) -> Settings:
    """The same stack after some flows: a report, a quarantined batch, Data Docs and two batches in the lake."""
    page = home.pages / "flights"
    page.mkdir(parents=True)
    (page / REPORT["path"]).write_text("<h1>the report</h1>")
    (page / f"{REPORT['name']}.json").write_text(json.dumps(REPORT))
    (page / "20130316T000000Z.json").write_text('{"cut off')
    docs = home.data_docs / "flights"
    docs.mkdir(parents=True)
    for name in ("index", "validation"):
        (docs / f"{name}.html").write_text(f"<h1>{name}</h1>")
    batch = home.quarantine / "flights" / "20130222T000000Z_20130223T000000Z"
    batch.mkdir(parents=True)
    verdict = {
        "until": "2013-02-23T00:00:00+00:00",
        "failures": ["912 keys twice"],
        "page": str(docs / "validation.html"),
    }
    (batch / "verdict.json").write_text(json.dumps(verdict))
    for table in ("flights", "weather"):
        raw = home.lake / "flights" / "2013-01/month" / table
        raw.mkdir(parents=True)
        for window in ("20130101T000000Z_20130102T000000Z", "20130102T000000Z_20130103T000000Z"):
            (raw / f"{window}.parquet").touch()
    return home


@pytest.fixture
def forked(commands: Forks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork what the portal starts in a process of its own and awaits."""

    async def run(
        settings: Settings, words: tuple[str, ...], patience: float, changes: Mapping[str, str], errors: int
    ) -> tuple[int, str, str]:
        environ = {**os.environ, **settings.environment(), **changes}
        ended = await asyncio.to_thread(commands.module, *words, environ=environ, seconds=patience)
        if ended.exit_code is None:
            raise TimeoutError
        together = errors == asyncio.subprocess.STDOUT
        return ended.exit_code, ended.output + ended.errors if together else ended.output, ended.errors

    monkeypatch.setattr(processes, "_run", run)


@pytest.fixture
def portal() -> Iterator[Callable[[Settings], TestClient]]:
    """Open the portal of given settings."""
    opened: list[TestClient] = []

    def make(settings: Settings) -> TestClient:
        client = TestClient(build(settings), base_url="http://stack.lan:8080")
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
