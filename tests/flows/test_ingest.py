"""A batch is fetched, checked, appended and served in this order; what is refused stops before the lake."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows import ingest as module
from flows.ingest import ingest
from stack.core.errors import StackError
from stack.validation.batches import BatchRefusedError
from stack.validation.validation import BatchResult
from tests.flows.conftest import NOW

DAY = timedelta(days=1)
BATCH = {"flights": SimpleNamespace(empty=False)}
SERVE = ["update", "label", "materialise", "mark_served"]


@pytest.fixture(autouse=True)
def rooms(flights, fake) -> None:
    fake("stack.validation.batches.fetch", BATCH)
    fake("stack.validation.batches.validate", result(flights))
    fake("stack.validation.batches.alert_stale")
    fake("stack.lake.lake.Lake.append", "3f2a1b00")
    fake("stack.lake.lake.Lake.revision", "3f2a1b00")
    fake("stack.features.datasets.ingested_until", NOW - DAY)
    fake("stack.features.feature_tables.served_until", NOW - DAY)
    fake("stack.features.features.update", {})
    fake("stack.features.features.materialise")
    fake("stack.features.feature_tables.mark_served")
    fake("stack.serving.observed.label", 0)


def result(project, *failures: str) -> BatchResult:
    page = Path(project.settings.data_docs) / "flights" / "index.html"
    return BatchResult({}, 0, list(failures), ["rare carrier"], page, rows=1200)


def steps(calls: list[str]) -> list[str]:
    return [call for call in calls if call not in ("ingested_until", "served_until", "revision")]


def test_a_batch_goes_to_the_lake_and_then_online(calls, caplog) -> None:
    assert ingest("flights") == "3f2a1b00"
    assert "1,200 rows came, 0 of them known ones that changed; 0 refused" in caplog.text
    assert steps(calls) == ["fetch", "validate", "append", "alert_stale", *SERVE]


def test_a_refused_batch_is_an_alert_and_nothing_downstream_changes(flights, calls, fake, caplog) -> None:
    fake("stack.validation.batches.validate", result(flights, "flights.carrier: expected known"))
    with pytest.raises(BatchRefusedError, match="flights.carrier"):
        ingest("flights")
    assert steps(calls) == ["fetch", "validate"]
    assert "flights: batch refused" in caplog.text


def test_a_source_that_fails_for_a_moment_is_asked_again(calls, fake, at_once) -> None:
    at_once(module.fetch)
    fake("stack.validation.batches.fetch", OSError("reset"), BATCH)
    ingest("flights")
    assert calls.count("fetch") == 2


def test_what_the_user_must_fix_is_not_tried_again(calls, fake, at_once) -> None:
    at_once(module.fetch)
    fake("stack.validation.batches.fetch", StackError("source.py", found="no file", expected="a file"))
    with pytest.raises(StackError):
        ingest("flights")
    assert steps(calls) == ["fetch"]


def test_a_run_that_was_killed_after_the_append_only_serves(calls, fake) -> None:
    fake("stack.features.datasets.ingested_until", NOW)
    assert ingest("flights") == "3f2a1b00"
    assert steps(calls) == SERVE


def test_a_window_that_ends_before_its_start_is_refused(calls) -> None:
    with pytest.raises(StackError, match="a window that ends after its start"):
        ingest("flights", since=NOW, until=NOW)
    assert steps(calls) == []
