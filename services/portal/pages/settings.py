"""The settings of the stack: where alarms go, backups, and what other machines may."""

import asyncio
import os
import re
import sys

from dotenv import dotenv_values
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, unattended
from services.portal.access import Done
from services.portal.pages.backups import archives
from services.portal.portal import portal_of
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.ops import credentials, lan, scheduled
from stack.ops import unattended as tasks

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,'\\]+")
"""An Apprise URL as it can stand between others, and in quotes in `.env`."""
SEND_SECONDS = 60


async def page(request: Request) -> Response:
    """Show the settings that can be changed here."""
    portal = portal_of(request)
    settings = portal.settings
    files = await asyncio.to_thread(archives, settings)
    return portal.page(
        "settings.html",
        alarms=[_masked(url) for url in _urls(settings.alert_urls)],
        saved=[_masked(url) for url in _urls(_saved(settings))],
        taken_up=_saved(settings) == settings.alert_urls,
        possible=unattended.possible(),
        settings=settings,
        archives=[(file.name, file.stat()) for file in files],
        record=await asyncio.to_thread(scheduled.read, settings),
        progress=await asyncio.to_thread(tasks.read, settings),
        lan=lan.wanted(settings),
    )


async def progress(request: Request) -> Response:
    """Show how far a restart or a restore is, as a part of the page."""
    portal = portal_of(request)
    return portal.page("unattended.html", progress=await asyncio.to_thread(tasks.read, portal.settings))


@access.action("save alarms")
async def save(request: Request) -> Done:
    """Keep an address of alarms in `.env`, beside the others or instead of them."""
    settings = portal_of(request).settings
    url, replace = await _form(request)
    if not unattended.possible():
        raise StackError(".env", found="containers", expected="a checkout", todo="add the line to .env on the machine")
    urls = [*([] if replace else _urls(_saved(settings))), *([_address(url)] if url or not replace else [])]
    await asyncio.to_thread(credentials.keep, {"alert_urls": ",".join(dict.fromkeys(urls))}, credentials.FILE)
    said = f"{len(urls)} in .env; they hold after a restart of the services"
    return Done(said, parameters={"replace": replace, "address": _masked(url) if url else "none"})


@access.action("try alarms")
async def attempt(request: Request) -> Done:
    """Send an alarm to the address of the form, or to those that are saved."""
    settings = portal_of(request).settings
    url, _ = await _form(request)
    if not (urls := _address(url) if url else _saved(settings)):
        raise StackError("alarms", found="no address", expected="one in the form, or in .env")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stack", "alarm"),
        cwd=ROOT,
        env=os.environ | settings.environment() | {unattended.ALERT_URLS: urls},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), SEND_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise StackError(
            "alarm", found=f"no end within {SEND_SECONDS} s", expected="an answer of the address"
        ) from None
    said = output.decode(errors="replace").strip()
    if process.returncode:
        said = said.partition("error: ")[0].strip() or said
        for secret in _urls(urls):
            said = said.replace(secret, _masked(secret))
        raise StackError("alarm", found=said, expected="each address takes it", todo="correct it")
    return Done("sent: look whether it has arrived", parameters={"to": [_masked(part) for part in _urls(urls)]})


@access.action("restart")
async def restart(request: Request) -> Done:
    """Take up what `.env` says now, in a process that outlives the portal."""
    unattended.start(portal_of(request).settings, "restart", caller=access.caller(request))
    return Done("restart: started", unattended=True)


async def _form(request: Request) -> tuple[str, bool]:
    form = await request.form(max_files=0, max_fields=5)
    return str(form.get("url", "")).strip(), form.get("replace") == "yes"


def _saved(settings: Settings) -> str:
    """Return the addresses that the services have after a restart: those of `.env`, or else what they have now."""
    saved = dotenv_values(credentials.FILE, interpolate=False)
    return saved.get(unattended.ALERT_URLS, settings.alert_urls) or ""


def _address(url: str) -> str:
    if not ADDRESS.fullmatch(url):
        raise StackError(
            "address",
            found="nothing" if not url else "a text of another form",
            expected="an Apprise URL without blanks, commas, quotes and backslashes, as ntfy://ntfy.sh/a-name",
            todo="write other characters as %2C, %27 and the like",
        )
    return url


def _urls(urls: str) -> list[str]:
    return [url.strip() for url in urls.split(",") if url.strip()]


def _masked(url: str) -> str:
    """Return the kind of an address alone: of many the rest is a secret."""
    return f"{url.partition('://')[0]}://…"


ROUTES = [
    Route("/settings", page),
    Route("/settings/progress", progress),
    Route("/settings/alarms", save, methods=["POST"]),
    Route("/settings/alarms/try", attempt, methods=["POST"]),
    Route("/settings/restart", restart, methods=["POST"]),
]
