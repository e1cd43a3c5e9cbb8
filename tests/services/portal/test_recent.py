"""The recent past on the cards of the home page: skill against the naive answer, requests, and what waits."""

import json
from datetime import timedelta
from uuid import UUID

import pytest

from services.portal.pages import home as page
from services.portal.recent import Recent, quality, recent
from services.portal.sparklines import EDGE, HEIGHT, Frame, path
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.specification import specs
from tests.services.portal.conftest import REPORT

FLIGHTS = specs.load("flights")


def report(day: int, skill: float | None) -> dict:
    return {
        "at": f"2013-03-{day:02}T00:00:00+00:00",
        "performance": None if skill is None else {"brier_skill": skill, "bias": 0.0},
    }


def test_the_line_has_the_naive_answer_in_it():
    found = quality([report(1, 0.1), report(2, None), report(3, 0.2)], "brier_skill")
    assert found and (found.reports, found.last, found.naive) == (2, 0.2, HEIGHT - EDGE)
    assert found.path.startswith("M0.0 ") and found.path.endswith(f"L320.0 {EDGE:.1f}")
    worse = quality([report(1, -0.5)], "brier_skill")
    assert worse and worse.naive == EDGE
    assert quality([report(1, None)], "brier_skill") is None and path([], Frame(0, 1, 0, 1)) == ""


@pytest.mark.parametrize("awaiting", [set(), {"flights"}])
def test_the_home_page_shows_it(reported, portal, monkeypatch, awaiting):
    async def found(_):
        return awaiting

    monkeypatch.setattr(page, "_awaiting", found)
    project = Project(reported, FLIGHTS)
    now = project.clock.now()
    words = {"answered_at": now, "features": {}, "features_at": None, "model_version": "1"}
    request = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "sched_dep": now, "sched_arr": now}
    answer = {"probability": 0.5, "decision": True}
    project.log.write(
        [
            Prediction(str(UUID(int=day)), asked_at=now - timedelta(days=day), request=request, answer=answer, **words)
            for day in (1, 2, 8)
        ]
    )
    project.log.label_predictions({str(UUID(int=2)): (1.0, now)})
    file = reported.pages / "flights" / "20130317T000000Z.json"
    file.write_text(json.dumps({**REPORT, "name": file.stem, "headline": ["brier_skill"], **report(17, 0.25)}))

    seen = recent(reported, "flights")

    assert isinstance(seen, Recent) and (seen.predictions, seen.unlabelled) == (2, 1)
    assert seen.quality and seen.quality.last == 0.25
    text = portal(reported).get("/").text
    assert ("waits for you" in text) is bool(awaiting)
