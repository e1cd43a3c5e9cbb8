"""Bring a table: see what is understood of it, correct that, and follow the run to the first answer."""

import asyncio
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, processes
from services.portal.access import Done
from services.portal.jobs import Job
from services.portal.portal import Portal, portal_of
from services.portal.wishes import LABELS, reworded, worded
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.registry import registry
from stack.specification import addresses

WISHES = tuple(option for option in LABELS if option not in ("from", "name"))
"""Fields of the form that are options of ``stack new``, beside its name and place."""
PREVIEW = "stack.authoring.scaffold.preview"
LOOK_SECONDS = 600.0
"""Time limit of a look at a table, which may be large."""
UPLOADS = "uploads"
KEPT_SECONDS = 86_400
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
FORM = "understood"
"""Id of the form with what is understood of a table, and what the user chose."""


async def page(request: Request) -> Response:
    """Ask for a table."""
    portal = portal_of(request)
    return portal.page("new_project.html", labels=LABELS, writable=os.access(portal.settings.projects, os.W_OK))


def beside_form(handler: access.Handler) -> access.Handler:
    """Show what a handler refuses beside the form that was sent, which keeps what the user chose."""

    @wraps(handler)
    async def shown(request: Request) -> Response:
        answer = await handler(request)
        if answer.status_code >= HTTPStatus.BAD_REQUEST and request.headers.get("hx-trigger") == FORM:
            answer.headers["HX-Retarget"] = "#refused"
        return answer

    return shown


@beside_form
@access.with_key
async def look(request: Request) -> Response:
    """Show what is understood of a table, as a part of the page."""
    portal = portal_of(request)
    form = await request.form(max_files=1, max_fields=40)
    try:
        given = await _place(portal.settings, form)
        addresses.require_no_password(given)
        name = _text(form, "name") or _name_of(given)
        found = await _preview(portal, name, given, _wishes(form))
    except StackError as error:
        return portal.page("acted.html", 409, error=reworded(error))
    found["notes"] = [worded(note) for note in found["notes"]]
    found["columns"] = [column | {"why": worded(column["why"])} for column in found["columns"]]
    words: dict[str, Any] = {
        "name": name,
        "place": given,
        "found": found,
        "wishes": _wishes(form),
        "labels": LABELS,
        "form": FORM,
    }
    return portal.page("looked.html", **words)


@access.action("new project")
async def make(request: Request) -> Done:
    """Write the project, and run it to its first answer."""
    portal = portal_of(request)
    form = await request.form(max_files=0, max_fields=40)
    name, place = _text(form, "name"), _text(form, "place")
    wishes = _wishes(form)
    portal.jobs.require_none(name)
    addresses.require_no_password(place)  # others would see it in the list of processes, and the audit
    options = [f"--{key}={value}" for key, value in {"from": place, **wishes}.items()]
    commands = [["new", *options, "--", name], ["run", "--", name]]
    job = portal.jobs.start(Job(f"Make {name} and run it", name, commands))
    return Done(f"{name} is being made", project=name, parameters={"from": place, **wishes}, job=job.id)


@access.with_key
async def job(request: Request) -> Response:
    """Show how far a job is, as a part of the page."""
    portal = portal_of(request)
    found = portal.jobs.get(request.path_params["job"])
    live = False
    if found and found.code == 0 and not found.outcome:
        live = await asyncio.to_thread(_is_live, portal.settings, found.project)
    return portal.page("job.html", 200 if found else 404, job=found, live=live)


def _is_live(settings: Settings, project: str) -> bool:
    """Return whether a project has a champion: a first model may await a person's approval."""
    try:
        return registry.CHAMPION in registry.aliases(settings).get(project, {})
    except httpx.HTTPError:
        return False


async def _preview(portal: Portal, name: str, place: str, wishes: Mapping[str, str]) -> dict[str, Any]:
    """Return what is understood of a table; in a process of its own, as pandas would stay in the portal's memory."""
    try:
        found: dict[str, Any] = await processes.read(
            portal.settings, PREVIEW, name, place, json.dumps(wishes), patience=LOOK_SECONDS
        )
    except RuntimeError as error:
        raise StackError(place, found=str(error), expected="a table") from None
    if problem := found.get("error"):
        raise StackError(problem.pop("where"), **problem)
    return found


async def _place(settings: Settings, form: FormData) -> str:
    """Return where the rows are: an uploaded file's path, or what the form names."""
    upload = form.get("file")
    if not isinstance(upload, UploadFile) or not upload.filename:
        if not (place := _text(form, "place")):
            raise StackError("table", found="neither a file nor an address", expected="one of them")
        return place
    folder = settings.home / UPLOADS
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _remove_old(folder)
    target = folder / uuid4().hex / (UNSAFE.sub("_", Path(upload.filename).name).lstrip(".") or "table.csv")
    target.parent.mkdir()

    def save() -> None:
        with target.open("wb") as file:
            shutil.copyfileobj(upload.file, file)

    await asyncio.to_thread(save)
    return str(target)


def _remove_old(folder: Path) -> None:
    for old in folder.iterdir():
        if old.is_dir() and time.time() - old.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)


def _name_of(place: str) -> str:
    """Propose a name for the project of a place."""
    plain = re.sub(r"[^a-z0-9]+", "_", Path(place).stem.lower()).strip("_")
    return plain if plain and plain[0].isalpha() else f"p_{plain}"


def _wishes(form: FormData) -> dict[str, str]:
    return {name: value for name in WISHES if (value := ",".join(_texts(form, name)))}


def _texts(form: FormData, field: str) -> list[str]:
    return [value.strip() for value in form.getlist(field) if isinstance(value, str) and value.strip()]


def _text(form: FormData, field: str) -> str:
    return next(iter(_texts(form, field)), "")


ROUTES = [
    Route("/new", page),
    Route("/new/look", look, methods=["POST"]),
    Route("/new/make", make, methods=["POST"]),
    Route("/jobs/{job}", job),
]
