"""What breaks the bounds of a rollout, decided from figures; and the second look at a canary and a new champion."""

from datetime import UTC, datetime, timedelta

import pytest

from stack.promotion import rollout
from stack.promotion.decisions import DecisionTime, Entry
from stack.promotion.rollout import Figures, Losses
from stack.specification.sections import Rollout

DAY = datetime(2024, 1, 1, tzinfo=UTC)
BOUNDS = Rollout(max_error_rate=0.1, max_latency_ms=50, max_loss_increase=0.01, min_requests=100, min_labelled=500)


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        (Figures(100, 11, 5.0), "11 of 100 requests failed, more than 10%"),
        (Figures(100, 10, 5.0), ""),
        (Figures(99, 99, 500.0), ""),
        (Figures(100, 0, 51.0), "p99 of 100 requests 51 ms, more than 50"),
        (Figures(100, 0, 50.0), ""),
    ],
)
def test_errors_and_latency_break_their_bounds_where_there_are_enough_requests(figures, reason):
    assert rollout.broken(BOUNDS, figures) == reason


def test_what_has_no_bound_is_not_judged():
    assert rollout.broken(Rollout(), Figures(1000, 0, 1e6)) == ""
    assert rollout.worse(Rollout(), Losses(10**6, 9.0, 0.1)) == ""


@pytest.mark.parametrize(
    ("losses", "is_worse"),
    [
        (Losses(500, 0.52, 0.5), True),
        (Losses(499, 0.52, 0.5), False),
        (Losses(500, 0.505, 0.5), False),
        (Losses(500, 0.4, 0.5), False),
        (Losses(0, float("nan"), float("nan")), False),
    ],
)
def test_a_loss_is_compared_on_enough_labelled_requests(losses, is_worse):
    assert bool(rollout.worse(BOUNDS, losses)) == is_worse


def entry(kind: str, version: str, champion: str | None, day: int, state: str = "done") -> Entry:
    return Entry(version, champion, "", {}, 1, kind, DAY + timedelta(days=day), DAY, state)


@pytest.mark.parametrize(
    ("entries", "is_new"),
    [
        ([entry("promote", "1", None, 0)], False),  # there is nothing to go back to
        ([entry("promote", "2", "1", 4)], True),
        ([entry("promote", "2", "1", 4), entry("refuse", "3", "2", 5), entry("canary", "3", "2", 6)], True),
        ([entry("promote", "2", "1", 2)], False),  # eight days ago
        ([entry("promote", "2", "1", 4), entry("promote", "3", "2", 5, "void")], True),
        ([entry("promote", "3", "2", 4), entry("rollback", "2", "3", 5)], False),  # it came by a rollback
        ([], False),
    ],
)
def test_only_a_champion_that_was_promoted_lately_is_rolled_back(toy, entries, is_new):
    now = DecisionTime(DAY + timedelta(days=10), DAY)
    assert bool(rollout.is_new(toy, entries, "2", now)) == is_new
