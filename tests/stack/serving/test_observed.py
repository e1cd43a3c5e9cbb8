"""A table without time is compared with what came after its champion, and judged on what that has not seen."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest

from stack.features import features
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import IMPORTED, Version
from stack.serving import observed, scoring
from tests.stack.validation.test_snapshots import (  # noqa: F401  # the fixtures
    EPOCH,
    MONDAY,
    ROWS,
    TUESDAY,
    deliver,
    ingest,
    settings,
    shop,
)

CHAMPION = Version("shop", "1", "run", {"stack.cutoff": MONDAY.isoformat()})
KNOWN = {"age": 41, "income": 1000.5, "town": "Bath", "member": True, "since": datetime(2020, 2, 3, tzinfo=UTC)}


@pytest.fixture
def project(shop, settings, monkeypatch) -> Project:  # noqa: F811
    """Three customers, whom the champion was trained on; it answers 0.5."""
    answer: dict[str, Any] = {"probability": 0.5, "decision": True, "model_version": "1"}
    monkeypatch.setattr(scoring, "score", lambda *given: given[-1].assign(**answer))
    features.apply(settings)
    ingest(settings, shop, EPOCH, MONDAY)
    return Project(settings, shop)


def ask(project: Project, *requests: dict[str, Any]) -> None:
    """Log answered requests of Monday, and the label of each."""
    columns = dict.fromkeys(project.spec.features.columns)
    answers = [
        Prediction(
            str(uuid4()),
            MONDAY + timedelta(hours=1),
            MONDAY,
            request,
            columns,
            None,
            "1",
            {"probability": 0.5, "decision": True},
        )
        for request in requests
    ]
    project.log.write(answers)
    project.log.label_predictions({answer.id: (1.0, MONDAY + timedelta(hours=2)) for answer in answers})


def test_on_its_first_day_nothing_is_new(project):
    frames = observed.window(project, CHAMPION, MONDAY)

    assert [(len(frame), frame.attrs["new"]) for frame in frames] == [(0, 0), (0, 0)]
    assert {frame.attrs["origin"] for frame in frames} == {observed.REQUESTS, observed.NEW_ROWS}


@pytest.mark.parametrize(
    ("known_at", "imported", "counts"),
    [
        ([MONDAY, TUESDAY], False, (1, 1, 0)),
        ([MONDAY, MONDAY], False, (0, 0, 2)),
        ([MONDAY, MONDAY], True, (2, 0, 0)),
    ],
)
def test_of_a_window_the_rows_that_are_new_to_the_champion_are_scored(project, monkeypatch, known_at, imported, counts):
    events = pd.DataFrame({"label_available_at": known_at, "bought": 1.0, "event_timestamp": MONDAY})
    monkeypatch.setattr(observed, "has_time", lambda _: True)
    monkeypatch.setattr(observed.datasets, "window", lambda *_: events)
    champion = Version("shop", "1", "run", {**CHAMPION.tags, **({IMPORTED: "model.onnx"} if imported else {})})

    rows = next(frame for frame in observed.window(project, champion, TUESDAY) if frame.attrs["origin"] == "new rows")

    assert (len(rows), rows.attrs["new"], rows.attrs["trained_on"]) == counts


def test_rows_that_came_or_changed_are_new_and_only_unseen_ones_are_judged(project):
    changed, new, again = "3,38,2000,York,False,,yes", "4,50,100,Bath,True,,no", "5" + ROWS[0][1:]
    deliver(project.spec.folder, *ROWS[:2], changed, new, again)
    ingest(project.settings, project.spec, MONDAY, TUESDAY)

    rows, requests = observed.window(project, CHAMPION, TUESDAY)

    assert (rows.attrs["origin"], rows.attrs["new"], rows.attrs["trained_on"]) == (observed.NEW_ROWS, 3, 2)
    assert rows.set_index("event_id")["bought"].dropna().to_dict() == {"4": 0.0}
    assert (requests.attrs["origin"], len(requests)) == (observed.REQUESTS, 0)


def test_a_request_about_a_row_of_the_training_is_not_judged(project):
    ask(project, KNOWN, KNOWN | {"age": 42})

    requests, rows = observed.window(project, CHAMPION, TUESDAY)

    assert (len(requests), requests.attrs["trained_on"], len(rows)) == (2, 1, 0)
    assert requests["bought"].count() == len(observed.judged(project, CHAMPION, TUESDAY)) == 1


def test_fields_that_several_rows_share_tell_no_row(project):
    deliver(project.spec.folder, *ROWS, "4" + ROWS[0][1:])
    ingest(project.settings, project.spec, MONDAY, TUESDAY)
    later = Version("shop", "2", "run", {"stack.cutoff": TUESDAY.isoformat()})
    ask(project, KNOWN)

    assert observed.window(project, later, TUESDAY)[0].attrs["trained_on"] == 1  # its label was known by the cut-off
    project.log.label_predictions({key: (0.0, TUESDAY + timedelta(hours=1)) for key in project.log.ids(EPOCH, TUESDAY)})
    assert observed.window(project, later, TUESDAY)[0].attrs["trained_on"] == 0


def test_the_reference_has_the_answers_of_rows_that_were_held_out(project, monkeypatch):
    rows = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in project.spec.features.columns}, dtype="float32")
    held_out = rows.iloc[[1]].assign(probability=0.7, bought=1.0)
    fitted = rows.assign(probability=[0.01, 0.99, 0.02], bought=[0.0, 1.0, 0.0])
    monkeypatch.setattr(artifacts, "reference", lambda *_: fitted)
    monkeypatch.setattr(artifacts, "holdout", lambda *_: held_out)

    honest = observed.reference(project, CHAMPION, honest=True)

    np.testing.assert_array_equal(honest["probability"], [np.nan, 0.7, np.nan])
    np.testing.assert_array_equal(honest["bought"], [np.nan, 1.0, np.nan])
    assert list(observed.reference(project, CHAMPION, honest=False)["probability"]) == [0.01, 0.99, 0.02]
    assert "bought" not in observed.reference(project, CHAMPION, honest=False)
