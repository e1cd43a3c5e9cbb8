"""The first pipeline: ingest, clock, train, monitor; a replay's clock then stands at `first_now`."""

from types import SimpleNamespace

from flows.pipeline import pipeline


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
