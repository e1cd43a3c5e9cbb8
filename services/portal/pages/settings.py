"""The settings of the stack: its name, where alarms and backups go, and what other machines may."""

import asyncio
from pathlib import Path
from tempfile import TemporaryFile

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, saved, unattended
from services.portal.access import Done
from services.portal.pages.alarms import masked
from services.portal.pages.backups import archives
from services.portal.portal import form, portal_of
from stack.core import variables
from stack.core.alerts import addresses
from stack.core.errors import StackError
from stack.core.saved import FIELDS
from stack.core.settings import Settings
from stack.core.version import version
from stack.ops import compose_file, credentials, lan, releases, scheduled
from stack.ops import unattended as tasks

SETTING_UP = ("name the stack", "save alarms", "save backups", "open to other machines", "set up later")
"""Actions after one of which the home page no longer asks for them."""


async def page(request: Request) -> Response:
    """Show the settings that can be changed here."""
    portal = portal_of(request)
    settings = portal.settings
    files = await asyncio.to_thread(archives, settings)
    later = await asyncio.to_thread(saved.after_restart, settings)
    return portal.page(
        "settings.html",
        alarms=[masked(url) for url in addresses(settings.alert_urls)],
        saved=[masked(url) for url in addresses(later.alert_urls)],
        pending=saved.pending(settings),
        possible=unattended.possible(),
        fixed={variables.key(name) for name in saved.kept_in_env(settings) & {*FIELDS}},
        checked_out=releases.checked_out(),
        settings=settings,
        later=later,
        archives=[(file.name, file.stat()) for file in files if file.exists()],
        record=await asyncio.to_thread(scheduled.read, settings),
        progress=await asyncio.to_thread(tasks.read, settings),
        lan=lan.wanted(settings),
        lan_later=lan.wanted(later),
        user=lan.USER,
    )


async def progress(request: Request) -> Response:
    """Show how far a restart or a restore is, as a part of the page."""
    portal = portal_of(request)
    return portal.page("unattended.html", progress=await asyncio.to_thread(tasks.read, portal.settings))


@access.action("name the stack")
async def name(request: Request) -> Done:
    """Keep what pages and alarms call this stack."""
    title = (await form(request)).get("title", "")
    return Done(saved.keep(portal_of(request), title=title), parameters={"title": title})


@access.action("save backups")
async def backups(request: Request) -> Done:
    """Keep where backups go, and how many of them are kept."""
    portal, given = portal_of(request), await form(request)
    later = saved.after_restart(portal.settings)
    names = ("backup_folder", "backup_daily", "backup_weekly")
    changes = {name: given[name] for name in names if given.get(name, now := str(getattr(later, name))) != now}
    if "backup_folder" in changes:
        await asyncio.to_thread(_require_writable, changes["backup_folder"])
    return Done(saved.keep(portal, **changes), parameters=changes)


@access.action("open to other machines")
async def gateway(request: Request) -> Done:
    """Let other machines in by the gateway, with a login that is shown once; or no more."""
    portal = portal_of(request)
    settings = saved.after_restart(portal.settings)
    wanted = (await form(request)).get("open") == "yes"
    others = settings.optional - {"copies", lan.PROFILE}
    profiles = ",".join(sorted(others | {lan.PROFILE} if wanted else others))
    opened = settings.model_copy(update={"profiles": profiles})
    await asyncio.to_thread(compose_file.require_processes, opened)
    said = saved.keep(portal, profiles=profiles or "none")
    return Done(said, parameters={"open": wanted}, details=_login(opened))


@access.action("make a new login")
async def login(request: Request) -> Done:
    """Replace the password at the gateway; the new one is shown once."""
    settings = saved.after_restart(portal_of(request).settings)
    if not lan.wanted(settings):
        raise StackError("the gateway", found="closed", expected="open to other machines", todo="open it first")
    return Done(saved.LATER, details=_login(settings.model_copy(update={"lan_password_hash": ""})))


@access.action("restart")
async def restart(request: Request) -> Done:
    """Take up what `.env` says now, in a process that outlives the portal."""
    settings = portal_of(request).settings
    environment = saved.environment(settings)
    unattended.start(settings, "restart", caller=access.caller(request), environment=environment)
    return Done("restart: started", unattended=True)


@access.action("look for a newer version")
async def look_for_version(_: Request) -> Done:
    """Ask the stack's repository for a newer release; nothing is asked of another machine otherwise."""
    newest = await asyncio.to_thread(releases.newest)
    if not newest:
        return Done(f"{version()} is the newest version")
    todo = "`git pull`, then `make upgrade`, which makes a backup first"
    return Done(
        f"{newest} can be had: {todo}", "/help/operations#upgrade-and-going-back", link="how, and how to go back"
    )


@access.action("set up later")
async def set_up_later(_: Request) -> Done:
    """Ask no more on the home page."""
    return Done("everything of it stays under Settings")


def _require_writable(folder: str) -> None:
    """Make a folder; raise a StackError where backups cannot be written to it."""
    path = Path(folder).expanduser()
    try:
        if not path.is_absolute():
            raise OSError("a relative path")
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        raise StackError(
            f"folder {folder}", found=str(error), expected="the path of a folder that the stack may write to"
        ) from None


def _login(settings: Settings) -> list[str]:
    lines: list[str] = []
    lan.with_login(settings, lines.append, credentials.FILE)
    return lines


ROUTES = [
    Route("/settings", page),
    Route("/settings/progress", progress),
    Route("/settings/name", name, methods=["POST"]),
    Route("/settings/backups", backups, methods=["POST"]),
    Route("/settings/gateway", gateway, methods=["POST"]),
    Route("/settings/login", login, methods=["POST"]),
    Route("/settings/later", set_up_later, methods=["POST"]),
    Route("/settings/version", look_for_version, methods=["POST"]),
    Route("/settings/restart", restart, methods=["POST"]),
]
