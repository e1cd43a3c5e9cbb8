"""The page about where the time of a replay went: seconds of each step, in total and by replayed day."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from monitoring import pages
from monitoring.replay.page import templates
from monitoring.replay.plots import RC_PARAMS, element
from stack.core import files
from stack.core.errors import StackError
from stack.core.pages import PROFILE
from stack.core.profile import Cost, Part, Recorded, recorded
from stack.core.settings import Settings
from stack.specification.specs import ProjectSpec

PARTS: dict[Part, str] = {
    "day": "a batch loaded, its events predicted, labels joined",
    "review": "the monitoring of a window, without the training that it waits for",
    "training": "in a process of its own",
    "ahead": "the validation of the next batch, beside the day before it",
}
BESIDE = "ahead"
"""The part that runs beside the others, and so is no part of their sum."""
WAIT = "wait for the training"
"""The step of a review that lasts as long as the training, and the start of its process."""
COLOURS = ("#1d4ed8", "#d97706", "#15803d", "#b91c1c", "#7c3aed", "#0e7490", "#be185d", "#4d7c0f", "#a16207")
REST = "#cbd5e1"
"""Colour of the steps that have none of their own."""


class Step(NamedTuple):
    """A step of a part of a day."""

    part: Part
    name: str


Day = dict[Step, Cost]


def save(settings: Settings, spec: ProjectSpec) -> Path:
    """Write the page beside that of the replayed period.

    Raises:
        StackError: no time was recorded.
    """
    path = pages.folder(settings, spec.name) / PROFILE
    files.write(path, html(spec, recorded(settings, spec.name)), durable=True)
    return path


def html(spec: ProjectSpec, records: list[Recorded]) -> str:
    """Render the page."""
    if not records:
        todo = f"make replay PROJECT={spec.name} UNTIL=... PROFILE=1"
        raise StackError(f"profile of {spec.name}", found="no time recorded", expected="a replayed day", todo=todo)
    days = by_day(records)
    costs = total(days.values())
    wall = sum(cost.seconds for step, cost in costs.items() if step.part != BESIDE)
    order = sorted(costs, key=lambda step: (step.part == BESIDE, -costs[step].seconds))
    colours = dict(zip((step for step in order if step.part != BESIDE), COLOURS, strict=False))
    share = {step: None if step.part == BESIDE else costs[step].seconds / wall for step in order}
    return (
        templates()
        .get_template(PROFILE)
        .render(
            spec=spec,
            since=min(days) - timedelta(days=1),
            until=max(days),
            days=sum(record.part == "day" for record in records),
            seconds=wall,
            steps=[
                step._asdict() | {"cost": costs[step], "share": share[step], "colour": colours.get(step, REST)}
                for step in order
            ],
            parts=[summary for part in PARTS if (summary := _summary(part, days))],
            plot=svg(days, colours),
        )
    )


def by_day(records: Iterable[Recorded]) -> dict[datetime, Day]:
    """Return the steps by the instant at which a day ends; a wait for a training is what it lasted beyond that."""
    days: dict[datetime, Day] = {}
    for record in records:
        steps = {Step(record.part, name): cost for name, cost in record.steps.items()}
        days.setdefault(record.at, {}).update(steps)
    for day in days.values():
        if wait := day.get(Step("review", WAIT)):
            trained = sum(cost.seconds for step, cost in day.items() if step.part == "training")
            day[Step("review", WAIT)] = Cost(max(0.0, wait.seconds - trained), wait.core_seconds, wait.calls)
    return days


def total(days: Iterable[Day]) -> Day:
    """Return the sum of each step."""
    sums: Day = {}
    for day in days:
        for step, cost in day.items():
            known = sums.setdefault(step, Cost())
            known.seconds += cost.seconds
            known.core_seconds += cost.core_seconds
            known.calls += cost.calls
    return sums


def _summary(part: Part, days: Mapping[datetime, Day]) -> dict[str, Any] | None:
    """Return number, sum, mean and maximum of the seconds of a part; None where there was none."""
    steps = [[cost.seconds for step, cost in day.items() if step.part == part] for day in days.values()]
    seconds = [sum(one) for one in steps if one]
    if not seconds:
        return None
    whole, count = sum(seconds), len(seconds)
    described = {"name": part, "what": PARTS[part], "count": count}
    return described | {"seconds": whole, "mean": whole / count, "longest": max(seconds)}


def svg(days: Mapping[datetime, Day], colours: Mapping[Step, str]) -> str:
    """Draw the seconds of each day, stacked by step; return an ``<svg>`` element."""
    middles = [float(date2num(day)) - 0.5 for day in days]
    with mpl.rc_context(RC_PARAMS):
        figure = Figure(figsize=(11.8, 5), layout="constrained")
        axes, bottoms = figure.subplots(), [0.0] * len(days)
        shown: list[tuple[Step | None, str]] = [*colours.items(), (None, REST)]
        for step, colour in shown:
            heights = [_height(day, step, colours) for day in days.values()]
            label = f"{step.name} ({step.part})" if step else "all other steps"
            axes.bar(middles, heights, bottom=bottoms, width=1, color=colour, label=label)
            bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
        axes.set_title("Seconds by replayed day")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.margins(x=0)
        locator = AutoDateLocator(minticks=6, maxticks=14)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        figure.legend(loc="outside lower left", ncols=4, frameon=False)
        return element(figure)


def _height(day: Day, step: Step | None, colours: Mapping[Step, str]) -> float:
    """Return the seconds of a step of a day; with None, those of the steps without a colour."""
    if step:
        return day[step].seconds if step in day else 0.0
    return sum(cost.seconds for step, cost in day.items() if step not in colours and step.part != BESIDE)
