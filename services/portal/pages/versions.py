"""The versions of a project's model, and any two of them side by side."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.portal import report_index
from services.portal.formats import instant, titled
from services.portal.links import outside
from services.portal.portal import Portal, of_project, origin
from stack.project import Project
from stack.promotion import decisions
from stack.registry import registry
from stack.registry.registry import Run, Version

LISTED = 200
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
        "sections": _sections(project, *pair) if len(pair) == 2 else {},
    }


def _sections(project: Project, a: Version, b: Version) -> dict[str, list[Row]]:
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
    made_of = {title: (instant(a.tags.get(key)), instant(b.tags.get(key))) for key, title in ORIGIN.items()}
    named = {
        "Measured on held-out rows": {titled(key): values for key, values in measured.items()},
        "By slice": slices,
        "Parameters": parameters,
        "Made of": {title: values for title, values in made_of.items() if any(values)},
    }
    return {section: [Row(*row) for row in rows.items()] for section, rows in named.items() if rows}


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


ROUTES = [Route("/projects/{project}/versions", versions)]
