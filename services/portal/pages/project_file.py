"""Change a project's settings: its project.yaml, checked and compared before it is saved."""

import asyncio
from datetime import UTC, datetime

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import access, project_check
from services.portal.access import Done
from services.portal.jobs import Job
from services.portal.portal import of_project
from stack.authoring import project_file
from stack.core.errors import StackError

MAX_LETTERS = 200_000


async def page(request: Request) -> Response:
    """Show the file of a project in a form."""
    portal, name = of_project(request)
    file = await asyncio.to_thread(project_file.read, portal.settings, name)
    return portal.page("project_file.html", name=name, file=file)


@access.with_key
async def check(request: Request) -> Response:
    """Show the difference that a text makes and what is wrong with it, as a part of the page."""
    portal, name = of_project(request)
    try:
        text, digest = await _text_of(request)
        file = await asyncio.to_thread(project_file.read, portal.settings, name)
        difference = project_file.difference(file.text, text)
        findings = await project_check.findings(portal.settings, name, text) if difference else ""
        valid = await asyncio.to_thread(project_file.is_valid, portal.settings, name, text)
    except StackError as error:
        return portal.page("acted.html", 409, error=error)
    return portal.page(
        "project_difference.html",
        name=name,
        file=file,
        difference=difference,
        findings=findings,
        valid=valid,
        changed=file.digest != digest,
    )


@access.action("change settings")
async def save(request: Request) -> Done:
    """Save the text, and bring the running stack up to date with it."""
    portal, name = of_project(request)
    text, digest = await _text_of(request)
    portal.jobs.require_none(name)
    old = await asyncio.to_thread(project_file.read, portal.settings, name)
    if not old.writable:
        raise StackError(str(old.path), found="a file that the portal cannot write to", expected="one that it can")
    kept = await asyncio.to_thread(project_file.save, portal.settings, name, text, digest, datetime.now(UTC))
    saved = f"saved; the old content is in {kept}"
    title = f"{name} is {saved}; bring the stack up to date"
    job = portal.jobs.start(Job(title, name, [["refresh"]], outcome="it runs with the new settings"))
    difference = project_file.difference(old.text, text)
    return Done(saved, parameters={"difference": difference}, job=job.id)


async def _text_of(request: Request) -> tuple[str, str]:
    """Return the text of the form as it would be written, and the digest of the file that it was made from."""
    form: FormData = await request.form(max_files=0, max_fields=5)
    text, digest = form.get("text"), form.get("digest")
    if not isinstance(text, str) or not text.strip() or not isinstance(digest, str):
        raise StackError("project.yaml", found="nothing", expected="a text")
    if len(text) > MAX_LETTERS:
        raise StackError("project.yaml", found=f"{len(text):,} characters", expected=f"at most {MAX_LETTERS:,}")
    return project_file.normalized(text), digest


ROUTES = [
    Route("/projects/{project}/settings", page),
    Route("/projects/{project}/settings/check", check, methods=["POST"]),
    Route("/projects/{project}/settings/save", save, methods=["POST"]),
]
