"""What the portal measures of the stack and its projects: for `/metrics`, and for the page of the last week."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from services.portal.cache import Query
from services.portal.cards import Card, card
from services.portal.pages.problems import find
from services.portal.portal import Portal
from stack.core import disk
from stack.core.settings import Settings
from stack.ops import scheduled
from stack.prediction_log import totals
from stack.specification import specs

METRICS = {
    "stack_problems": "Problems that the home page shows",
    "stack_problem": "A problem that the home page shows, by its title",
    "stack_project_data_age_days": "Days from the end of the newest batch to the project's clock",
    "stack_project_champion_age_days": "Days from the champion's training cutoff to the project's clock",
    "stack_project_report_age_days": "Days from the last drift report to the project's clock",
    "stack_project_drift_share": "Share of drifting features in the last report",
    "stack_project_performance": "Metrics of the last report that has labels",
    "stack_project_quarantined_batches": "Batches in quarantine, whole or in part",
    "stack_project_logged_predictions": "Rows in the prediction log",
    "stack_backup_age_seconds": "Age of the last good backup",
    "stack_restore_age_seconds": "Age of the last backup that was restored and compared",
    "stack_disk_free_bytes": "Free on the disk of the state",
    "stack_state_bytes": "Size of the state",
}
DAY_SECONDS = 86_400.0
PATIENCE_SECONDS = 8.0
"""How long a reader waits; what takes longer is there for the next one."""


@dataclass(frozen=True)
class Measurement:
    """A number of this moment."""

    name: str
    """A key of `METRICS`."""
    value: float
    labels: dict[str, str] = field(default_factory=dict)


async def measure(portal: Portal) -> list[Measurement]:
    """Return all measurements; those that cannot be had are left out."""
    settings, names = portal.settings, specs.names()
    quick: dict[str, Query] = {f"project {name}": partial(asyncio.to_thread, card, settings, name) for name in names}
    slow: dict[str, Query] = {
        "logged": partial(asyncio.to_thread, totals.rows, settings.state_database),
        "state": partial(asyncio.to_thread, disk.size, settings.home),
    }
    read, cards, read_slowly = await asyncio.gather(
        portal.cache.read({"problems": partial(find, portal)}, PATIENCE_SECONDS),
        portal.cards.read(quick, PATIENCE_SECONDS),
        portal.slow.read(slow, PATIENCE_SECONDS),
    )
    problems, logged, state = read["problems"], read_slowly["logged"], read_slowly["state"]
    found = [*_of_stack(settings, datetime.now(UTC))]
    if isinstance(problems, list):
        found.append(Measurement("stack_problems", len(problems)))
        titles = {problem.title for problem in problems}
        found += [Measurement("stack_problem", 1, {"title": title}) for title in titles]
    if isinstance(state, int):
        found.append(Measurement("stack_state_bytes", state))
    for name in names:
        if isinstance(card_of := cards[f"project {name}"], Card):
            found += _of_project(settings, card_of)
        if isinstance(logged, dict):
            labels = {"project": name}
            found.append(Measurement("stack_project_logged_predictions", logged.get(name, 0), labels))
    return found


def _of_stack(settings: Settings, now: datetime) -> Iterator[Measurement]:
    yield Measurement("stack_disk_free_bytes", disk.free(settings.home))
    record = scheduled.read(settings)
    if record and record.at:
        yield Measurement("stack_backup_age_seconds", (now - record.at).total_seconds())
    if record and record.verified_at:
        yield Measurement("stack_restore_age_seconds", (now - record.verified_at).total_seconds())


def _of_project(settings: Settings, card: Card) -> Iterator[Measurement]:
    labels = {"project": card.name}
    batches = sum(1 for _ in (settings.quarantine / card.name).glob("*/verdict.json"))
    yield Measurement("stack_project_quarantined_batches", batches, labels)
    report = card.report or {}
    since = {
        "data": card.batches and card.batches.until,
        "champion": card.champion and _instant(card.champion.cutoff),
        "report": _instant(report.get("at")),
    }
    for what, at in since.items():
        if card.now and at:
            days = (card.now - at).total_seconds() / DAY_SECONDS
            yield Measurement(f"stack_project_{what}_age_days", days, labels)
    if report.get("drift_share") is not None:
        yield Measurement("stack_project_drift_share", report["drift_share"], labels)
    for metric, value in (report.get("performance") or {}).items():
        if isinstance(value, int | float):
            yield Measurement("stack_project_performance", value, labels | {"metric": metric})


def _instant(text: str | None) -> datetime | None:
    """Return an aware instant of a tag or a report; None where there is none."""
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def exposition(measurements: list[Measurement]) -> bytes:
    """Return measurements as Prometheus reads them."""
    registry = CollectorRegistry()
    gauges: dict[str, Gauge] = {}
    for each in measurements:
        if each.name not in gauges:
            gauges[each.name] = Gauge(each.name, METRICS[each.name], [*each.labels], registry=registry)
        gauge = gauges[each.name]
        (gauge.labels(**each.labels) if each.labels else gauge).set(each.value)
    return generate_latest(registry)
