"""What a person may do with a project: start its runs, answer the gate, pause it, remove it."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route

from services.portal import access
from services.portal.access import Done
from services.portal.jobs import Job
from services.portal.links import outside
from services.portal.portal import form, of_project, origin
from stack.core.errors import StackError
from stack.ops.project_runs import ProjectRuns
from stack.ops.runs import Runs

MAX_LETTERS = 500
"""Of a reason or a comment."""


@dataclass(frozen=True)
class Start:
    """A deployment that a button starts; the command of the same name starts it too."""

    flow: str
    title: str
    use: str
    command: str = ""
    """Name of the command, where it is not the flow's."""
    confirm: str = ""
    """What is asked first, where it cannot be taken back."""

    @property
    def as_command(self) -> str:
        """What does the same in a terminal, without the project."""
        return f"make {self.command or self.flow}"


STARTS = (
    Start("pipeline", "Run", "Ingest, train, judge, report", command="run"),
    Start("ingest", "Ingest", "Fetch and check the rows since the last batch"),
    Start("train", "Train", "Train on the labels known now; the gate decides"),
    Start("monitor", "Monitor", "Report drift and performance"),
    Start("sweep", "Sweep", "Compare models and parameters; nothing goes live"),
    Start("promote", "Judge", "Hold the challenger against the champion again"),
    Start("rollback", "Roll back", "Make the previous version champion", confirm="Make the previous version champion?"),
)


@access.action("start")
async def start(request: Request) -> Done:
    """Start a deployment of the project."""
    portal, name = of_project(request)
    flow = request.path_params["flow"]
    known = {start.flow: start for start in STARTS}
    if flow not in known:
        raise HTTPException(404, f"no action {flow}")
    parameters: dict[str, Any] = {}
    if flow == "rollback":
        parameters["reason"] = await _text(request, "reason") or f"asked for by {access.caller(request)}"
    run = await asyncio.to_thread(Runs(portal.settings).start, flow, name, parameters)
    href = f"{outside(portal.settings, 'prefect', origin(request))}/runs/flow-run/{run}"
    return Done(f"{known[flow].title}: started", href, parameters={"flow": flow, **parameters, "run": run})


@access.action("answer")
async def answer(request: Request) -> Done:
    """Let the version in that awaits approval, or refuse it."""
    portal, name = of_project(request)
    approve = {"approve": True, "refuse": False}.get(await _text(request, "answer"))
    if approve is None:
        raise StackError("answer", found=await _text(request, "answer") or "none", expected="approve or refuse")
    comment = await _text(request, "comment") or f"by {access.caller(request)}"
    runs = ProjectRuns(portal.settings, name)
    await asyncio.to_thread(runs.answer, approve=approve, comment=comment)
    said = "approved: it becomes champion" if approve else "refused"
    return Done(said, parameters={"approve": approve, "comment": comment})


@access.action("pause")
async def pause(request: Request) -> Done:
    """Pause the project, or let it go on."""
    portal, name = of_project(request)
    paused = request.url.path.endswith("/pause")
    await asyncio.to_thread(ProjectRuns(portal.settings, name).pause, paused=paused)
    said = "paused: nothing starts by itself" if paused else "goes on: schedules and retraining are back"
    return Done(said, parameters={"paused": paused})


@access.action("remove project")
async def remove(request: Request) -> Done:
    """Delete the project with all that the stack has of it, when its name is typed in."""
    portal, name = of_project(request)
    if (typed := await _text(request, "typed")) != name:
        raise StackError("the name typed in", found=repr(typed), expected=repr(name))
    portal.jobs.require_none(name)
    kept = await _text(request, "kept") == "files"
    words = ["remove", "--yes", *["--keep"] * kept, "--", name]
    outcome = "nothing is left of it but its files: Run begins anew" if kept else "nothing of it is left"
    job = portal.jobs.start(Job(f"Remove {name}", name, [words], outcome=outcome))
    return Done("its removal has begun", parameters={"kept": "files" if kept else ""}, job=job.id)


async def _text(request: Request, field: str) -> str:
    """Return a field of the form."""
    return (await form(request)).get(field, "")[:MAX_LETTERS]


ROUTES = [
    Route("/projects/{project}/start/{flow}", start, methods=["POST"]),
    Route("/projects/{project}/answer", answer, methods=["POST"]),
    Route("/projects/{project}/pause", pause, methods=["POST"]),
    Route("/projects/{project}/resume", pause, methods=["POST"]),
    Route("/projects/{project}/remove", remove, methods=["POST"]),
]
