"""Every ten minutes: sample what the stack and its services measure, for the page of the last week."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Self

import httpx
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.portal import history
from services.portal.history import History, Sample
from services.portal.measurements import Measurement, measure
from services.portal.portal import Portal
from stack.core.disk import GIB, MIB
from stack.ops.tools import inside

logger = logging.getLogger(__name__)
EVERY = timedelta(minutes=10)
FIRST_SECONDS = 60.0
"""After the start, when the services answer."""
SERVICES = ("prediction", "prefect", "mlflow", "features", "monitoring")
DRAWN = {
    "stack_problems": ("Problems", "", 1),
    "stack_project_data_age_days": ("Age of the newest batch, days", "project", 1),
    "stack_project_champion_age_days": ("Age of the champion's data, days", "project", 1),
    "stack_project_drift_share": ("Drifting features, %", "project", 100),
    "stack_project_logged_predictions": ("Predictions in the log", "project", 1),
    "stack_disk_free_bytes": ("Disk, GiB", "", 1 / GIB),
    "stack_state_bytes": ("Disk, GiB", "", 1 / GIB),
}
"""Measurement -> the title of its chart, the label that names a line, and the factor to the chart's unit."""
NAMES = {"stack_problems": "problems", "stack_disk_free_bytes": "free", "stack_state_bytes": "state"}
MEMORY, RATE, LATENCY = "Memory, MiB", "Predictions", "Time to answer a prediction, ms"
REQUESTS, HALF, MOST = "Requests a minute", "Half of the answers within, ms", "99 % of the answers within, ms"
"""Charts with a line for each project."""
Histogram = dict[float, float]
"""Upper bound in seconds -> answers within it."""


class Requests:
    """The counters of the prediction service at an instant, by project.

    Args:
        text: its metrics.
    """

    def __init__(self, text: str) -> None:
        self.counts: dict[str, float] = defaultdict(float)
        self.below: dict[str, Histogram] = defaultdict(lambda: defaultdict(float))
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "prediction_requests_total":
                    self.counts[sample.labels["project"]] += sample.value
                elif sample.name == "prediction_request_seconds_bucket":
                    self.below[sample.labels["project"]][float(sample.labels["le"])] += sample.value

    def since(self, before: Self | None) -> Iterator[Sample]:
        """Yield what came since other counters; nothing when the service has been started again."""
        if before is None or sum(self.counts.values()) < sum(before.counts.values()):
            return
        counts = {project: count - before.counts[project] for project, count in self.counts.items()}
        grown = {
            project: {bound: count - before.below[project][bound] for bound, count in below.items()}
            for project, below in self.below.items()
        }
        yield Sample(RATE, "a second", sum(counts.values()) / EVERY.total_seconds())
        yield from _times(_sum(grown.values()), [(LATENCY, "half below"), (LATENCY, "99 % below")])
        for project, count in counts.items():
            yield Sample(REQUESTS, project, count / (EVERY / timedelta(minutes=1)))
        for project, below in grown.items():
            yield from _times(below, [(HALF, project), (MOST, project)])


def _sum(histograms: Iterable[Histogram]) -> Histogram:
    total: Histogram = defaultdict(float)
    for histogram in histograms:
        for bound, count in histogram.items():
            total[bound] += count
    return total


def _times(below: Histogram, named: Sequence[tuple[str, str]]) -> Iterator[Sample]:
    """Yield the times of half and of 99 % of the answers, each with its title and name."""
    for share, (title, name) in zip((0.5, 0.99), named, strict=True):
        if (bound := quantile(below, share)) is not None:
            yield Sample(title, name, 1000 * bound)


def quantile(below: Mapping[float, float], share: float) -> float | None:
    """Return a quantile of a histogram, linear within a bucket; None without observations, or beyond the last bound."""
    wanted, low, before = share * max(below.values(), default=0.0), 0.0, 0.0
    for bound in sorted(below):
        if wanted and below[bound] >= wanted:
            inside = (wanted - before) / (below[bound] - before)
            return None if bound == float("inf") else low + inside * (bound - low)
        low, before = bound, below[bound]
    return None


async def forever(portal: Portal) -> None:
    """Sample, and wait, until cancelled."""
    kept, before = History.of(portal.settings), None
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        try:
            found, before = await sample(portal, before)
            await asyncio.to_thread(kept.add, found, history.now())
        except Exception:
            logger.exception("this sample failed, the next one is in %s", EVERY)
        await asyncio.sleep(EVERY.total_seconds())


async def sample(portal: Portal, before: Requests | None) -> tuple[list[Sample], Requests | None]:
    """Return the samples of now, and the counters for the next ones; those of the last are `before`."""
    texts = await metrics(portal)
    # Each copy counts its own.
    counted = "prediction" in texts and portal.settings.prediction_copies == 1
    requests = Requests(texts["prediction"]) if counted else None
    found = [*drawn(await measure(portal)), *memory(texts), *(requests.since(before) if requests else ())]
    return found, requests


async def metrics(portal: Portal) -> dict[str, str]:
    """Return the metrics of the services that answer, as text, and those of this process."""

    async def ask(service: str) -> str | None:
        try:
            answer = await portal.client.get(f"{inside(portal.settings, service)}/metrics")
            return answer.raise_for_status().text
        except httpx.HTTPError:
            return None

    texts = await asyncio.gather(*map(ask, SERVICES))
    answered = {service: text for service, text in zip(SERVICES, texts, strict=True) if text is not None}
    return answered | {"portal": generate_latest().decode()}


def drawn(measurements: list[Measurement]) -> Iterator[Sample]:
    """Yield the samples of the measurements that are drawn."""
    for each in measurements:
        if each.name in DRAWN:
            title, label, factor = DRAWN[each.name]
            yield Sample(title, each.labels.get(label) or NAMES[each.name], factor * each.value)


def memory(texts: Mapping[str, str]) -> Iterator[Sample]:
    """Yield the resident memory of the services."""
    for service, text in texts.items():
        for family in text_string_to_metric_families(text):
            if family.name == "process_resident_memory_bytes":
                yield Sample(MEMORY, service, family.samples[0].value / MIB)
