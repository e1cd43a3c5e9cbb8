"""Backups in the browser: make one, fetch one, bring one back."""

import asyncio
import os
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.portal import access, unattended
from services.portal.access import Done
from services.portal.jobs import Job
from services.portal.portal import form, portal_of
from stack.core.errors import StackError
from stack.core.settings import Settings

ARCHIVES = "stack-*.tar.gz"


def archives(settings: Settings) -> list[Path]:
    """Return the archives in the folder of backups that can be read here, the newest first."""
    found = (path for path in settings.backup_folder.glob(ARCHIVES) if path.is_file() and os.access(path, os.R_OK))
    return sorted(found, key=_written, reverse=True)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another backup has just replaced it
        return 0.0


def archive(settings: Settings, name: str) -> Path:
    """Return the archive of a name; a StackError where the folder has none."""
    found = next((path for path in archives(settings) if path.name == name), None)
    if found is None:
        raise StackError(
            str(settings.backup_folder), found=f"no archive {name!r}", expected="the name of one in the list"
        )
    return found


@access.action("back up")
async def make(request: Request) -> Done:
    """Write an archive of the whole state."""
    portal = portal_of(request)
    portal.jobs.require_none("")
    outcome = "open this page again to see it in the list"
    job = portal.jobs.start(Job("Back up", "", [["backup"]], outcome=outcome))
    return Done("started", job=job.id)


@access.action("fetch a backup")
async def issue(request: Request) -> Done:
    """Give a link by which an archive can be downloaded once, within a minute."""
    portal, name = portal_of(request), request.path_params["name"]
    await asyncio.to_thread(archive, portal.settings, name)
    href = f"/settings/backups/{name}?ticket={portal.tickets.issue(name)}"
    return Done(f"{name} can be fetched once, within a minute", href, link="download it", parameters={"file": name})


async def download(request: Request) -> Response:
    """Send an archive to who has a ticket for it."""
    portal, name = portal_of(request), request.path_params["name"]
    if not portal.tickets.redeem(request.query_params.get("ticket", ""), name):
        raise HTTPException(403, "this link has been used or has expired: take another one from /settings")
    file = await asyncio.to_thread(archive, portal.settings, name)
    return FileResponse(file, filename=name, media_type="application/gzip", headers={"Cache-Control": "no-store"})


@access.action("restore")
async def restore(request: Request) -> Done:
    """Stop the stack, bring back an archive and start it, in a process that outlives the portal."""
    portal, given = portal_of(request), await form(request)
    name, typed = given.get("archive", ""), given.get("typed", "")
    file = await asyncio.to_thread(archive, portal.settings, name)
    if typed != name:
        raise StackError("the name typed in", found=typed or "nothing", expected=name)
    unattended.start(portal.settings, "restore", str(file), caller=access.caller(request))
    return Done(f"restore of {name}: started", parameters={"file": name}, unattended=True)


ROUTES = [
    Route("/settings/backup", make, methods=["POST"]),
    Route("/settings/backups/{name}", download),
    Route("/settings/backups/{name}/ticket", issue, methods=["POST"]),
    Route("/settings/restore", restore, methods=["POST"]),
]
