"""The last window is reviewed before it is reported, and a verdict reaches the alerts and the event that retrains."""

from types import SimpleNamespace

import pytest

from flows import monitor as module
from flows.monitor import DRIFT_DETECTED, monitor
from tests.flows.conftest import NOW


def report(action: str) -> SimpleNamespace:
    reason = SimpleNamespace(name="bias", text="bias 0.2", action=action)
    verdict = SimpleNamespace(summary="drift", action=action, retrain=action == "retrain", reasons=[reason])
    return SimpleNamespace(verdict=verdict, name="20130301T000000Z", at=NOW, window=SimpleNamespace(rows=1000))


@pytest.fixture(autouse=True)
def rooms(flights, fake) -> None:
    fake("stack.promotion.rollout.review", None)
    fake("monitoring.review.champion", report("none"))
    fake("stack.core.alerts.notify")
    fake("flows.monitor.emit_event")
    fake("stack.prediction_log.pruning.prune", 0)


def test_a_calm_window_alerts_nobody(calls) -> None:
    assert monitor("flights") is False
    assert calls == ["review", "champion", "prune"]


def test_a_notice_is_an_alert_and_no_training(calls, fake) -> None:
    fake("monitoring.review.champion", report("notice"))
    assert monitor("flights") is False
    assert calls == ["review", "champion", "notify", "prune"]


def test_drift_emits_the_event_of_the_automation(monkeypatch, calls, fake) -> None:
    events: list[tuple[str, dict]] = []
    fake("monitoring.review.champion", report("retrain"))
    monkeypatch.setattr(module, "emit_event", lambda name, **given: events.append((name, given)))
    assert monitor("flights", NOW) is True
    ((name, event),) = events
    assert name == DRIFT_DETECTED
    assert event["resource"]["prefect.resource.id"] == "stack.project.flights"
    assert event["payload"]["at"] == NOW.isoformat()
    assert calls == ["review", "champion", "notify", "prune"]
