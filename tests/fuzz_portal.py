"""A portal to be fuzzed with the key: that of the sources, in front of a running stack, on a copy of its state.

What its actions would start, write or send beyond that copy is caught.
"""

import re
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from services import guard
from services.portal import app, processes
from services.portal.jobs import Job, Jobs
from services.portal.pages import new_project
from services.portal.pages.actions import STARTS
from services.portal.portal import Portal
from stack.core import migrations
from stack.core.settings import Settings
from stack.ops import credentials
from stack.ops.project_runs import ProjectRuns
from stack.ops.runs import Runs
from stack.prediction_log import unlabelled
from stack.specification import specs
from tests.polling import PATIENCE_SECONDS, eventually
from tests.stacks import free_ports

ENDLESS = "/events"
"""Route that answers until the browser leaves."""
QUERY = ("q", "page", "before", "day", "only", "days", "id", "project", "a", "b", "ticket")
FORMS: dict[str, tuple[str, ...]] = {
    "/new/look": ("name", "place", *new_project.WISHES),
    "/new/make": ("name", "place", *new_project.WISHES),
    "/sign-in": (),
    "/projects/{project}/settings/check": ("text", "digest"),
    "/projects/{project}/settings/save": ("text", "digest"),
    "/projects/{project}/try": ("steps", "prediction_id", "age", "sched_dep", "temp", "hour"),
    "/projects/{project}/labels": (),
    "/projects/{project}/labels/{prediction}": ("label",),
    "/projects/{project}/labels/{prediction}/undo": (),
    "/projects/{project}/start/{flow}": ("reason",),
    "/projects/{project}/answer": ("answer", "comment"),
    "/projects/{project}/pause": (),
    "/projects/{project}/resume": (),
    "/projects/{project}/remove": ("typed", "kept"),
    "/projects/{project}/package": (),
    "/projects/{project}/canary": ("canary", "percent"),
    "/settings/backup": (),
    "/settings/backups/{name}/ticket": (),
    "/settings/restore": ("archive", "typed"),
    "/settings/alarms": ("url", "replace"),
    "/settings/alarms/try": ("url",),
    "/settings/name": ("title",),
    "/settings/backups": ("backup_folder", "backup_daily", "backup_weekly"),
    "/settings/gateway": ("open",),
    "/settings/login": (),
    "/settings/version": (),
    "/settings/later": (),
    "/settings/restart": (),
}
"""Address of each action -> the fields of its form."""
UPLOADS = ("/new/look", "/projects/{project}/labels")
TEXT = {"type": "string"}
VALUES = {
    "answer": ["approve", "refuse"],
    "archive": ["stack-x.tar.gz"],
    "canary": ["on", "off"],
    "kept": ["files"],
    "label": ["0", "1", "yes", "2.5"],
    "open": ["yes", "no"],
    "page": ["1", "2"],
    "percent": ["10", "0,5"],
    "place": ["/nowhere.csv", "http://127.0.0.1:1/a.csv", "postgresql://a:b@c/d"],
    "text": ["name: flights\n", "a: &a [*a]\n", "title: 2024-02-30\n"],
    "typed": ["flights", "stack-x.tar.gz"],
    "url": ["json://127.0.0.1:1"],
}
"""Values of fields and queries that get further than others."""


@contextmanager
def served(running: Settings, folder: Path) -> Iterator[Settings]:
    """Serve the portal; yields its settings."""
    home = folder / "home"
    shutil.copytree(running.projects, folder / "projects", ignore=shutil.ignore_patterns("__pycache__", "data"))
    (folder / running.definitions.name).mkdir()
    settings = running.model_copy(
        update={
            "home": home,
            "workspace": folder,
            "backup_folder": folder / "backups",
            "portal_port": free_ports(1)[0],
            "portal_url": "",
            "state_database": f"sqlite:///{home / 'state.db'}",
        }
    )
    home.mkdir()
    with (
        sqlite3.connect(running.state_database.removeprefix("sqlite:///")) as there,
        sqlite3.connect(home / "state.db") as here,
    ):
        there.backup(here)
    migrations.upgrade(settings.state_database)
    portal = Portal.of(settings)
    server = guard.server(_With(app.build(settings), portal), settings, "portal", lifespan="off", log_config=None)
    thread = threading.Thread(target=server.run, daemon=True)
    with ExitStack() as caught:
        _catch(caught, folder)
        thread.start()
        eventually(lambda: server.started)
        yield settings
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


class _With:
    """Gives requests the portal, as the lifespan does, without what runs beside it there: the stack's own does."""

    def __init__(self, inner: ASGIApp, portal: Portal) -> None:
        self.app, self._portal = inner, portal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "state": {"portal": self._portal}}, receive, send)


def _catch(caught: ExitStack, folder: Path) -> None:
    """Replace what would start processes and runs, or write to `.env`."""

    async def end(_: Jobs, job: Job) -> None:
        job.code = 0

    async def command(*_: Any, **__: Any) -> tuple[int, str]:
        return 0, ""

    async def read(*_: Any, **__: Any) -> Any:
        raise RuntimeError("not read")

    for place, name, instead in (
        (credentials, "FILE", folder / ".env"),
        (app.settings.unattended, "start", lambda *_, **__: None),
        (Jobs, "_run", end),
        (processes, "command", command),
        (processes, "read", read),
        (Runs, "start", lambda *_: "00000000-0000-0000-0000-000000000000"),
        (ProjectRuns, "answer", lambda *_, **__: None),
        (ProjectRuns, "pause", lambda *_, **__: None),
        (app.settings, "_require_writable", lambda _: None),
        (app.settings.releases, "newest", lambda: ""),
    ):
        caught.enter_context(patch.object(place, name, instead))


def document(settings: Settings) -> dict[str, Any]:
    """Describe the portal's routes, which have no document of their own; none may answer with 500 or more."""
    found = unlabelled.newest(settings.state_database, "flights", 5)
    known = {
        "project": specs.names(),
        "flow": [start.flow for start in STARTS],
        "prediction": [row.id for row in found],
        "name": ["..", "stack-x.tar.gz"],
    }
    paths: dict[str, Any] = {}
    for route in app.build(settings).routes:
        assert isinstance(route, Route | Mount)
        path = plain(route.path) if isinstance(route, Route) else f"{route.path}/{{path}}"
        methods = (route.methods or set()) - {"HEAD"} if isinstance(route, Route) else {"GET"}
        for method in methods if path != ENDLESS else ():
            paths.setdefault(path, {})[method.lower()] = _operation(path, method, known)
    return {"openapi": "3.1.0", "info": {"title": "Portal", "version": "1"}, "paths": paths}


def plain(path: str) -> str:
    """Return the path of a route without the types of its parameters."""
    return re.sub(r":\w+\}", "}", path)


def _operation(path: str, method: str, known: dict[str, list[str]]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _one_of(known.get(name, []))}
        for name in re.findall(r"\{(\w+)\}", path)
    ]
    described = {"parameters": parameters, "responses": {"200": {"description": "The page"}}}
    if method == "GET":
        parameters += [{"name": name, "in": "query", "schema": _one_of(VALUES.get(name, []))} for name in QUERY]
        return described
    form = {"type": "object", "properties": {field: _one_of(VALUES.get(field, [])) for field in FORMS[path]}}
    content = {"application/x-www-form-urlencoded": {"schema": form}}
    if path in UPLOADS:
        file = {"file": {"type": "string", "format": "binary"}}
        content = {"multipart/form-data": {"schema": {"type": "object", "properties": form["properties"] | file}}}
    return described | {"requestBody": {"content": content}}


def _one_of(known: list[str]) -> dict[str, Any]:
    """Most are values that there are: with others a request does not get far."""
    return {"anyOf": [*[{"enum": known}] * 3, TEXT]} if known else TEXT
