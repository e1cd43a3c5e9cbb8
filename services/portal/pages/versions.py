"""The versions of a project's model, and any two of them side by side."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import processes, report_index, version_pair
from services.portal.formats import instant, titled
from services.portal.links import outside
from services.portal.pages import packages
from services.portal.portal import Portal, of_project, origin
from stack.core import code
from stack.core.settings import ROOT, Settings
from stack.project import Project
from stack.promotion import decisions
from stack.registry import registry
from stack.registry.registry import Run, Version

LISTED = 200
RELIABILITY = "stack.promotion.reliability"
PATIENCE_SECONDS = 30.0
"""How long the calibration is waited for."""
ORIGIN = {
    "stack.cutoff": "Labels known by",
    "stack.boundary": "Held out from",
    "stack.data_revision": "Data version",
    "stack.code_version": "Code version",
    "stack.feature_service": "Feature service",
    "stack.imported": "Imported",
    "stack.gate": "Gate",
}
"""Tags of a version that say what it was made of -> how they are called."""


@dataclass(frozen=True)
class Row:
    """A line of the comparison."""

    title: str
    values: tuple[str, str]

    @property
    def differs(self) -> bool:
        """Whether the two versions differ in it."""
        return self.values[0] != self.values[1]


async def versions(request: Request) -> Response:
    """List the versions; compare the two that the query names, or the champion and the one before."""
    portal, name = of_project(request)
    query = partial(asyncio.to_thread, _read, portal, name, *(request.query_params.get(side, "") for side in "ab"))
    found = (await portal.cache.read({f"versions {name} {request.url.query}": query}, patience=5.0)).popitem()[1]
    problem = "" if isinstance(found, dict) else str(found or "MLflow takes long to answer; load the page again")
    return portal.page(
        "versions.html",
        name=name,
        mlflow=outside(portal.settings, "mlflow", origin(request)),
        problem=problem,
        packages=packages.files(portal.settings, name),
        **(found if isinstance(found, dict) else {}),
    )


def _read(portal: Portal, name: str, a: str, b: str) -> dict[str, Any]:
    project = Project.open(name, portal.settings)
    listed = project.registry.versions()[:LISTED]
    roles = {version: alias for alias, version in registry.aliases(portal.settings).get(name, {}).items()}
    numbers = {version.version: version for version in listed}
    newest = [version.version for version in listed]
    champion = next((number for number, alias in roles.items() if alias == registry.CHAMPION), "")
    right = b if b in numbers else champion or next(iter(newest), "")
    older = [number for number in newest if number != right]
    left = a if a in numbers else next(iter(older), right)
    pair = [numbers[number] for number in (left, right) if number in numbers]
    entries = {entry.version: entry for entry in decisions.entries(project, LISTED)}
    return {
        "versions": [
            {
                "number": version.version,
                "role": roles.get(version.version, ""),
                "cutoff": version.tags.get("stack.cutoff", ""),
                "metrics": {titled(key): f"{value:.4f}" for key, value in version.metrics.items()},
                "decision": entries.get(version.version),
                "card": report_index.card(portal.settings, name, version.version),
                "run": version.run_id,
            }
            for version in listed
        ],
        "pair": [version.version for version in pair],
        **(_compared(project, *pair) if len(pair) == 2 else {}),
    }


def _compared(project: Project, a: Version, b: Version) -> dict[str, Any]:
    """Return what the page shows of two versions beside each other."""
    settings = project.settings
    one, other = (version_pair.recipe(settings, version) for version in (a, b))
    return {
        "sections": _sections(project, a, b, (one, other)),
        "importances": version_pair.importances(settings, a, b),
        "code": _code(settings, project.name, one, other),
    }


def _code(settings: Settings, name: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str] | None:
    """Return what changed in the code between two recipes, a line a file; None where that is not known."""
    of_stack = code.changes(name, one.get("code_version", ""), other.get("code_version", ""))
    before, after = (recipe.get("workspace_version") or "" for recipe in (one, other))
    of_project = code.changes(name, before, after, at=settings.workspace) if settings.workspace != ROOT else []
    return None if of_stack is None or of_project is None else of_project + of_stack


def _sections(
    project: Project, a: Version, b: Version, recipes: tuple[Mapping[str, Any], Mapping[str, Any]]
) -> dict[str, list[Row]]:
    """Return the lines of the comparison, by section: measured, by slice, parameters, and what they were made of."""
    run_a, run_b = project.registry.run(a), project.registry.run(b)
    metrics = {key: (_metric(run_a, key), _metric(run_b, key)) for key in _keys(run_a.metrics, run_b.metrics)}
    slices = {key: values for key, values in metrics.items() if key.count(".") > 1}
    measured = {
        key: values for key, values in metrics.items() if key not in slices and not key.endswith((".low", ".high"))
    }
    parameters = {
        key: (run_a.parameters.get(key, ""), run_b.parameters.get(key, ""))
        for key in _keys(run_a.parameters, run_b.parameters)
    }
    rows, since = ([str(recipe.get(key, "")) for recipe in recipes] for key in ("rows", "since"))
    made_of = {"Rows": _grown(*rows), "First row": (instant(since[0]), instant(since[1]))}
    made_of |= {title: (instant(a.tags.get(key)), instant(b.tags.get(key))) for key, title in ORIGIN.items()}
    named = {
        "Measured on held-out rows": {titled(key): values for key, values in measured.items()},
        "By slice": slices,
        "Parameters": parameters,
        "Made of": {title: values for title, values in made_of.items() if any(values)},
    }
    return {section: [Row(*row) for row in rows.items()] for section, rows in named.items() if rows}


def _grown(one: str, other: str) -> tuple[str, str]:
    """Format two numbers of rows, the second with its difference from the first."""
    if not (one and other):
        return one and f"{int(one):,}", other and f"{int(other):,}"
    return f"{int(one):,}", f"{int(other):,} ({int(other) - int(one):+,})"


def _keys(*parts: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(key for part in parts for key in part))


def _metric(run: Run, key: str) -> str:
    """Format a metric, with its interval where the run has one."""
    if key not in run.metrics:
        return ""
    value = run.metrics[key]
    text = f"{value:,.0f}" if value == int(value) and abs(value) > 1 else f"{value:.4f}"
    low, high = run.metrics.get(f"{key}.low"), run.metrics.get(f"{key}.high")
    return text if low is None or high is None else f"{text} ({low:.4f} to {high:.4f})"


async def calibration(request: Request) -> Response:
    """Show the calibration of two versions, as a part of the page."""
    portal, name = of_project(request)
    pair = [side for key in "ab" if (side := request.query_params.get(key, "")).isdecimal()]
    query = partial(processes.read, portal.settings, RELIABILITY, name, *pair)
    found = (await portal.slow.read({f"reliability {name} {pair}": query}, PATIENCE_SECONDS)).popitem()[1]
    curves = version_pair.calibration(found) if isinstance(found, dict) else None
    return portal.page("calibration.html", calibration=curves, problem="" if isinstance(found, dict) else str(found))


ROUTES = [
    Route("/projects/{project}/versions", versions),
    Route("/projects/{project}/versions/calibration", calibration),
]
