"""The champion as a wheel and a Bento, made and fetched in the browser."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from services.portal import access
from services.portal.access import Done
from services.portal.jobs import Job
from services.portal.portal import of_project
from stack.core.settings import Settings


def files(settings: Settings, name: str) -> list[Path]:
    """Return the packages of a project that can be fetched."""
    return sorted(path for path in _folder(settings, name).glob("*") if path.is_file())


def _folder(settings: Settings, name: str) -> Path:
    return settings.home / "packages" / name


@access.action("package")
async def make(request: Request) -> Done:
    """Pack the champion; what was packed before is replaced."""
    portal, name = of_project(request)
    portal.jobs.require_none(name)
    for old in files(portal.settings, name):  # beside them are folders, of what trainings have installed
        old.unlink()
    words = ["package", "--out", str(_folder(portal.settings, name)), "--", name]
    job = portal.jobs.start(Job(f"Pack {name}", name, [words], outcome="open this page again to fetch the files"))
    return Done("started", job=job.id)


async def download(request: Request) -> Response:
    """Send a package."""
    portal, name = of_project(request)
    wanted = request.path_params["file"]
    found = next((path for path in files(portal.settings, name) if path.name == wanted), None)
    if found is None:
        raise HTTPException(404, f"no package {wanted} of {name}")
    return FileResponse(found, filename=found.name, media_type="application/octet-stream")


ROUTES = [
    Route("/projects/{project}/package", make, methods=["POST"]),
    Route("/projects/{project}/packages/{file}", download),
]
