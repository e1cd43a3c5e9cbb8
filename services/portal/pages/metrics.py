"""The metrics of the stack, for Prometheus, and the last week of them as a page."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services import measured
from services.portal import history, measurements, sampler, sparklines
from services.portal.history import HALF_HOUR, WEEK, History, Series
from services.portal.portal import portal_of
from services.portal.sparklines import Frame

GAP = 1.5 * HALF_HOUR
"""Seconds; a longer time without samples interrupts the line."""


async def metrics(request: Request) -> Response:
    """Answer with the metrics of the stack and of this process."""
    found = await measurements.measure(portal_of(request))
    return measured.exposition(measurements.exposition(found))


async def week(request: Request) -> Response:
    """Draw the last week."""
    portal = portal_of(request)
    charts = await asyncio.to_thread(_charts, History.of(portal.settings), history.now())
    return portal.page("week.html", charts=charts, minutes=sampler.EVERY // timedelta(minutes=1))


def _charts(kept: History, now: datetime) -> dict[str, list[tuple[Series, str]]]:
    """Return the series by their title, each with its line."""
    return {
        title: [(each, sparkline(each.points, now)) for each in group]
        for title, group in groupby(kept.read(now), lambda each: each.title)
    }


def sparkline(points: Sequence[tuple[float, float]], now: datetime) -> str:
    """Return the path of a line over the week that ends now, for a `d` of SVG; empty without points."""
    values = [value for _, value in points] or [0.0]
    start, end = (now - WEEK).timestamp(), now.timestamp()
    return sparklines.path(points, Frame(start, end, min(values), max(values)), GAP)


ROUTES = [Route("/metrics", metrics), Route("/metrics/week", week)]
