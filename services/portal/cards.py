"""The home page's card of each project."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from services.portal import live_versions, report_index
from services.portal.formats import titled
from services.portal.report_index import Batches
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import Entry
from stack.registry import registry
from stack.registry.registry import Version
from stack.specification import example

DECISIONS = 3


@dataclass(frozen=True)
class ModelSummary:
    """A registered version, formatted."""

    version: str
    run_id: str
    metrics: dict[str, str]
    cutoff: str
    data: str
    code: str
    card: str
    """Address of its card; empty when it has none."""


@dataclass(frozen=True)
class Card:
    """A project on the home page; `problems` lists what could not be read."""

    name: str
    title: str = ""
    clock: str = ""
    now: datetime | None = None
    champion: ModelSummary | None = None
    has_none: bool = False
    """Whether the registry answers that there is no champion."""
    challenger: ModelSummary | None = None
    decisions: list[Entry] = field(default_factory=list)
    """The latest ones, newest first."""
    report: dict[str, Any] | None = None
    quarantine: dict[str, Any] | None = None
    batches: Batches | None = None
    data_docs: str | None = None
    body: str = ""
    """Of an example request."""
    problems: list[str] = field(default_factory=list)


def card(settings: Settings, name: str) -> Card:
    """Return the card of a project. Never raises: what cannot be read is listed in `problems`."""
    try:
        project = Project.open(name, settings)
    except StackError as error:
        return Card(name, problems=[str(error)])
    problems: list[str] = []

    def read(what: str, query: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return query(*arguments)
        except Exception as error:  # noqa: BLE001  # a part that is down leaves the others readable
            problems.append(f"{what}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
            return None

    live = live_versions.of(settings.mlflow_url)
    champion = read("champion", live.aliased, project, registry.CHAMPION)
    return Card(
        name=name,
        title=project.spec.title,
        clock=project.spec.clock.kind,
        now=read("clock", project.clock.now),
        champion=_summary(settings, champion),
        has_none=champion is None and not any(problem.startswith("champion:") for problem in problems),
        challenger=_summary(settings, read("challenger", live.aliased, project, registry.CHALLENGER)),
        decisions=(read("audit", decisions.entries, project, DECISIONS) or [])[::-1],
        report=next(report_index.reports(settings, name), None),
        quarantine=report_index.quarantined(settings, name),
        batches=report_index.batches(settings, name),
        data_docs=report_index.data_docs(settings, f"{name}/index.html"),
        body=example.body(project.spec),
        problems=problems,
    )


def _summary(settings: Settings, version: Version | None) -> ModelSummary | None:
    if version is None:
        return None
    return ModelSummary(
        version=version.version,
        run_id=version.run_id,
        metrics={titled(key): f"{value:.4f}" for key, value in version.metrics.items()},
        cutoff=version.tags.get("stack.cutoff", ""),
        data=version.tags.get("stack.data_revision", "")[:8],
        code=version.tags.get("stack.code_version", "")[:8],
        card=report_index.card(settings, version.name, version.version),
    )
