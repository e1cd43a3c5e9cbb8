"""Where alarms go: addresses are tried and kept."""

import re

from starlette.requests import Request
from starlette.routing import Route

from services.portal import access, processes, saved
from services.portal.access import Done
from services.portal.portal import form, portal_of
from stack.core.alerts import addresses
from stack.core.errors import StackError

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s,'\\]+")
"""An Apprise URL as it can stand between others, and in quotes in a file."""
SEND_SECONDS = 60.0


@access.action("save alarms")
async def save(request: Request) -> Done:
    """Keep an address of alarms, beside the others or instead of them."""
    portal = portal_of(request)
    url, replace = await _form(request)
    before = [] if replace else addresses(saved.after_restart(portal.settings).alert_urls)
    urls = [*before, *([_address(url)] if url or not replace else [])]
    said = f"{saved.keep(portal, alert_urls=','.join(dict.fromkeys(urls)))}: alarms go to {len(urls) or 'no'} address"
    said += "" if len(urls) == 1 else "es"
    return Done(said, parameters={"replace": replace, "address": masked(url) if url else "none"})


@access.action("try alarms")
async def attempt(request: Request) -> Done:
    """Send an alarm to the address of the form, or to those that are saved."""
    settings = portal_of(request).settings
    url, _ = await _form(request)
    if not (urls := _address(url) if url else saved.after_restart(settings).alert_urls):
        raise StackError("alarms", found="no address", expected="one in the form, or a saved one")
    try:
        changes = {"STACK_ALERT_URLS": urls}
        code, said = await processes.command(settings, "alarm", patience=SEND_SECONDS, changes=changes)
    except TimeoutError:
        found = f"no end within {SEND_SECONDS:.0f} s"
        raise StackError("alarm", found=found, expected="an answer of the address") from None
    if code:
        said = said.partition("error: ")[0].strip() or said
        for secret in addresses(urls):
            said = said.replace(secret, masked(secret))
        raise StackError("alarm", found=said, expected="each address takes it", todo="correct it")
    return Done("sent: look whether it has arrived", parameters={"to": [masked(part) for part in addresses(urls)]})


async def _form(request: Request) -> tuple[str, bool]:
    given = await form(request)
    return given.get("url", ""), given.get("replace") == "yes"


def _address(url: str) -> str:
    if not ADDRESS.fullmatch(url):
        raise StackError(
            "address",
            found="nothing" if not url else "a text of another form",
            expected="an Apprise URL without blanks, commas, quotes and backslashes, as ntfy://ntfy.sh/a-name",
            todo="write other characters as %2C, %27 and the like",
        )
    return url


def masked(url: str) -> str:
    """Return the kind of an address alone: of many the rest is a secret."""
    return f"{url.partition('://')[0]}://…"


ROUTES = [
    Route("/settings/alarms", save, methods=["POST"]),
    Route("/settings/alarms/try", attempt, methods=["POST"]),
]
