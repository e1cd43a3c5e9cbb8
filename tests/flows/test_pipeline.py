"""The first pipeline: ingest, clock, train, monitor; a replay's clock then stands at `first_now`."""

from flows.pipeline import pipeline


def test_the_clock_advances_between_ingest_and_training(flights, calls, fake) -> None:
    for name in ("ingest", "train", "monitor"):
        fake(f"flows.pipeline.{name}")
    fake("stack.core.clock.Clock.advance")
    pipeline("flights")
    assert calls == ["ingest", "advance", "train", "monitor"]
