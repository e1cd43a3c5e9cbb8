"""A scheduled forecast answers for the next steps of each series that is alive."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stack.core.settings import Settings
from stack.features import features
from stack.project import Project
from stack.publishing import outbox
from stack.serving import scheduled
from stack.specification import specs

AT, HOUR = datetime(2024, 5, 1, 12, 20, tzinfo=UTC), timedelta(hours=1)
TARGETS = [datetime(2024, 5, 1, 13 + step, tzinfo=UTC) for step in range(3)]
SPEC = {
    "name": "heat",
    "title": "How warm will it be?",
    "task": "forecast",
    "label": "warmth",
    "source": {"path": "heat.csv"},
    "forecast": {"every": "1h", "steps": 3},
    "schedules": {"predict": "20 * * * *"},
    "publish": [{"kind": "mqtt", "host": "broker"}, {"kind": "file", "path": "all.csv"}],
    "columns": {
        "room": {"type": "string", "role": "key", "example": "hall"},
        "at": {"type": "datetime", "role": "time", "example": "2024-05-01T00:00:00Z"},
        "warmth": {},
        "sun": {"example": 0.5},
    },
}


class Source:
    """Rows of two rooms, one of which has been silent for weeks, and what is known ahead of one."""

    def ahead(self, since, until):
        at = [target for target in TARGETS[:2] if since < target <= until]
        return pd.DataFrame(
            {"room": "hall", "at": pd.Series(at, dtype="datetime64[us, UTC]"), "sun": [0.25, 0.75][: len(at)]}
        )

    def rows(self, since, until):
        raise AssertionError("the lake is asked, not the source")

    fetch = rows


@pytest.fixture
def project(tmp_path, monkeypatch):
    spec = specs.parse(SPEC, Path("projects/heat/project.yaml"))
    project = Project(Settings(home=tmp_path), spec)

    def recent(since, until):
        assert until - since == scheduled.ALIVE
        return {"rows": pd.DataFrame({"room": ["hall", "attic", "hall"]})}

    model = SimpleNamespace(threshold=None, answer=lambda columns: np.full((len(columns["sun"]), 1), 19.5))
    given = {
        "registry": SimpleNamespace(require_champion=lambda: SimpleNamespace(version="2")),
        "lake": SimpleNamespace(recent=recent),
        "source": Source(),
    }
    for name, value in given.items():
        monkeypatch.setitem(project.__dict__, name, value)
    monkeypatch.setattr(scheduled, "loaded", lambda *_: nullcontext(model))
    monkeypatch.setattr(
        features,
        "training_set",
        lambda _, events: events.assign(**{name: 0.0 for name in spec.features.columns if name not in events}),
    )
    return project


def test_each_living_series_gets_its_next_steps_with_what_the_source_knows_ahead(project):
    assert scheduled.answer(project, AT) == 6
    log = project.log.read(AT - HOUR, AT + HOUR).sort_values("at")
    hall = log[log["room"] == "hall"]
    assert [*hall["at"]] == TARGETS
    assert [*hall["sun"][:2]] == [0.25, 0.75] and pd.isna(hall["sun"].iloc[2])
    assert [*log[log["room"] == "attic"]["at"]] == TARGETS and log[log["room"] == "attic"]["sun"].isna().all()
    assert set(log["prediction"]) == {19.5}


def test_a_forecast_is_made_once_for_an_instant_and_anew_for_the_next(project):
    assert scheduled.answer(project, AT) == 6
    assert scheduled.answer(project, AT) == 0
    assert scheduled.answer(project, AT + HOUR) == 6


def test_a_forecast_is_published_as_one_message_and_as_rows_of_a_file(project, monkeypatch):
    monkeypatch.setattr(scheduled, "MAX_ROWS", 4)  # no batch ends within a forecast
    scheduled.answer(project, AT)
    sent = {
        sink: [*outbox.oldest(project.settings.state_database, ("heat", sink), 99).values()]
        for sink in ("mqtt", "file")
    }
    assert [message["room"] for message in sent["mqtt"]] == ["hall", "attic"]
    for message in sent["mqtt"]:
        steps = message["forecast"]
        assert [datetime.fromisoformat(step["at"]) for step in steps] == TARGETS
        assert steps[0] == {name: message[name] for name in ("at", "prediction", "prediction_id")}
    assert [message["room"] for message in sent["file"]] == ["hall"] * 3 + ["attic"] * 3
    assert [message["prediction_id"] for message in sent["file"]] == [
        step["prediction_id"] for message in sent["mqtt"] for step in message["forecast"]
    ]
    assert "forecast" not in sent["file"][0]
