"""Drift by feature: the worst first, what follows each other at one level as one part, promotions where they were."""

from datetime import UTC, datetime

import pytest

from services.portal.drift_map import WIDTH, drift_map, level


def report(day, drift, drifted=(), limit=0.2):
    """A report of four days that end at a day of March."""
    since, at = (datetime(2013, 3, number, tzinfo=UTC).isoformat() for number in (day - 4, day))
    return {"since": since, "at": at, "drift": drift, "drifted": [*drifted], "drift_limit": limit}


REPORTS = [
    report(17, {"temp": 0.9, "wind": 0.05, "new": 0.15}, ["temp"]),
    report(13, {"temp": 0.3, "wind": 0.04}, ["temp"]),
    report(9, {}),
    report(5, {"temp": 0.25, "wind": 0.3}, ["temp", "wind"]),
]


def test_the_worst_feature_is_the_first_and_the_time_runs_from_left_to_right():
    drift = drift_map(REPORTS, [datetime(2013, 3, 9, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)])
    assert [(strip.feature, strip.drifted, strip.last) for strip in drift.strips] == [
        ("temp", 3, 0.9),
        ("wind", 1, 0.05),
        ("new", 0, 0.15),
    ]
    assert (drift.since.day, drift.until.day, drift.reports) == (1, 17, 3) and drift.marks == [WIDTH / 2]
    temp, wind, new = ([(part.x, part.x + part.width, part.level) for part in strip.parts] for strip in drift.strips)
    assert temp == [(0, 0.75 * WIDTH, "drifted"), (0.75 * WIDTH, WIDTH, "far")]
    assert wind == [(0, WIDTH / 4, "drifted"), (WIDTH / 4, WIDTH, "quiet")]
    assert new == [(0.75 * WIDTH, WIDTH, "near")]
    assert drift.strips[0].parts[0].text == "2013-03-05 to 2013-03-13: drifts, 0.25 to 0.3"


@pytest.mark.parametrize(
    ("score", "drifted", "limit", "expected"),
    [
        (0.001, True, None, "drifted"),
        (0.9, False, None, "quiet"),
        (None, True, 0.2, "drifted"),
        (0.5, False, 0.2, "quiet"),
    ],
)
def test_a_p_value_or_an_excused_column_drifts_or_not(score, drifted, limit, expected):
    assert level(report(5, {"temp": score}, ["temp"] * drifted, limit), "temp") == expected
    assert level(report(5, {}), "temp") == ""


def test_without_scores_there_is_no_map():
    assert drift_map([report(5, {})], []) is None
