"""What a user sees at the end of `make up`: the first pipeline, the addresses, and one answered prediction."""

from collections.abc import Callable
from typing import TypeVar

import httpx

from stack.core.errors import StackError, no_answer
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.wait import wait_until
from stack.ops import compose_file, lan
from stack.ops.runs import Run, Runs
from stack.project import Project
from stack.specification import example, specs

T = TypeVar("T")
PATIENCE = 30.0
"""Seconds in which the prediction service loads a new project or champion."""


def addresses(settings: Settings) -> dict[str, str]:
    """Return what a browser opens, by name."""
    active = {service.name for service in compose_file.services(settings)}
    titled = {name.removesuffix("_port"): field.title for name, field in Settings.model_fields.items() if field.title}
    front = {title: f"{settings.address(name)}/" for name, title in titled.items() if name.replace("_", "-") in active}
    # Through the portal: the own page of the feature server loads from the internet.
    front |= {
        "home page": home_page(settings),
        "features": settings.address("portal") + "/features/",
        "data checks": settings.address("portal") + "/docs/",
    }
    if settings.read_only:
        del front["Prefect"]  # its pages want the key
    else:
        front["Prefect"] = sign_in(settings)
    if lan.wanted(settings):
        front["other machines"] = settings.through_gateway("portal", lan.address(settings)) + "/"
    return front


def home_page(settings: Settings) -> str:
    """Return the link after which a browser may act in the portal; of a stack that is read-only, its address."""
    if settings.read_only:
        return f"{settings.address('portal')}/"
    return f"{settings.address('portal')}/#key={settings.prefect_key}"


def sign_in(settings: Settings) -> str:
    """Return the link after which a browser may use Prefect's pages."""
    return f"{settings.address('prefect')}/sign-in#{settings.prefect_key}"


def has_champion(project: Project) -> bool:
    """Return whether the registry holds a champion of the project; an MLflow that does not answer is a StackError."""
    return answer_of_registry(project.settings, project.registry.champion) is not None


def answer_of_registry(settings: Settings, ask: Callable[[], T]) -> T:
    """Return what MLflow answers; a StackError where it does not."""
    try:
        return ask()
    except httpx.HTTPError as error:
        raise no_answer(f"MLflow at {settings.mlflow_url}", error, "make up, or make logs SERVICE=mlflow") from None


def first_pipelines(settings: Settings, report: Reporter) -> dict[str, Run]:
    """Run the pipeline of each project without a champion; a run that is under way is followed instead.

    A project whose specification is broken is reported and left out; examples run when they are asked for,
    and an imported model is not trained.
    """
    runs, outcomes = Runs(settings), {}
    for spec in specs.load_valid(report):
        if spec.package or spec.imported or has_champion(Project(settings, spec)):
            continue
        run = runs.active("pipeline", spec.name) or runs.start("pipeline", spec.name, {})
        report(f"first pipeline of {spec.name}: {runs.url(run)}")
        outcomes[spec.name] = runs.follow(run, report)
    return outcomes


def curl(project: Project) -> str:
    """Return the command that asks for the example's prediction, ready to paste."""
    command = example.curl(project.settings.address("prediction"), project.name, example.body(project.spec))
    login = f" -H 'Authorization: Bearer <token of make token PROJECT={project.name} FOR=predict>'"
    return command + login if project.settings.require_tokens else command


def answer(project: Project) -> str:
    """Return the answer to `curl`, waiting until the service has loaded the registry's champion."""
    champion = answer_of_registry(project.settings, project.registry.champion)

    def is_live() -> bool:
        served = _prediction(project.settings, "GET", "/readyz").json()["projects"].get(project.name, {})
        return bool(served.get("champion") == (champion and champion.version))

    wait_until(is_live, PATIENCE)
    response = _prediction(project.settings, "POST", f"/{project.name}/predict", example.body(project.spec))
    if response.is_success:
        return response.text
    raise StackError(
        f"example of projects/{project.name}/project.yaml",
        found=f"HTTP {response.status_code}: {response.text[:500]}",
        expected="a prediction",
        todo="make logs SERVICE=prediction",
    )


def _prediction(settings: Settings, method: str, path: str, body: str | None = None) -> httpx.Response:
    """Return what the prediction service answers; a StackError where it does not."""
    url, headers = settings.prediction_url + path, {"Content-Type": "application/json"} | settings.prediction_headers
    try:
        return httpx.request(method, url, content=body, headers=headers, timeout=30, trust_env=False)
    except httpx.HTTPError as error:
        raise no_answer(url, error, "look with `make status`") from None


def page(settings: Settings) -> str:
    """Return the table of addresses and, for the first project with a champion, one prediction."""
    lines = ["", *(f"  {name:<14} {url}" for name, url in addresses(settings).items()), ""]
    for spec in specs.load_valid(lambda _: None):
        if has_champion(project := Project(settings, spec)):
            return "\n".join([*lines, f"$ {curl(project)}", answer(project)])
    return "\n".join(lines)
