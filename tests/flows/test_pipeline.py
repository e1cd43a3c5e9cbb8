"""The first pipeline: ingest, clock, train, monitor; a replay's clock then stands at `first_now`."""

import logging
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from flows.pipeline import pipeline, repeat_with_past


def test_the_clock_advances_between_ingest_and_training(flights, calls, fake) -> None:
    for name in ("ingest", "train", "monitor"):
        fake(f"flows.pipeline.{name}")
    fake("stack.core.clock.Clock.advance")
    fake("flows.pipeline.undecided")
    pipeline("flights")
    assert calls == ["ingest", "advance", "train", "undecided", "monitor"]


def test_nothing_is_monitored_while_the_first_version_awaits_approval(flights, calls, fake) -> None:
    for name in ("ingest", "train", "monitor"):
        fake(f"flows.pipeline.{name}")
    fake("stack.core.clock.Clock.advance")
    fake("flows.pipeline.undecided", SimpleNamespace(version="1"))
    pipeline("flights")
    assert "monitor" not in calls


@pytest.mark.parametrize(("clock", "again"), [("wall", 1), ("replay", 0)])
def test_a_pipeline_without_the_past_of_its_keys_is_scheduled_again(flights, monkeypatch, clock, again) -> None:
    scheduled, at = [], datetime(2013, 3, 1, 2, tzinfo=UTC)
    monkeypatch.setattr("stack.features.features.awaited_past", lambda *_: at)
    monkeypatch.setattr("flows.pipeline.get_run_logger", lambda: logging.getLogger())
    monkeypatch.setattr("flows.pipeline.run_deployment", lambda name, **words: scheduled.append((name, words)))
    of = SimpleNamespace(spec=flights.spec.model_copy(update={"clock": SimpleNamespace(kind=clock)}), name="flights")
    repeat_with_past(of, datetime(2013, 3, 1, tzinfo=UTC))
    assert [(name, words["scheduled_time"]) for name, words in scheduled] == [("pipeline/flights", at)] * again
