import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.promotion import shadows
from stack.registry.registry import Registry, Version
from stack.specification import specs

NOW = datetime(2013, 3, 1, 12, tzinfo=UTC)
ANSWERED = {"a": 0.25, "b": 0.5, "c": 0.75}
SHADOWED = np.array([[0.25], [0.75], [0.5]])


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project whose challenger, version 2, has answered three requests of version 1 unseen."""
    opened = Project(Settings(home=tmp_path), specs.load("flights"))
    opened.clock.advance(NOW)
    monkeypatch.setattr(Registry, "challenger", lambda _: Version("flights", "2", ""))
    logged = [
        Prediction(
            name,
            NOW - timedelta(hours=1),
            NOW,
            {"carrier": "UA", "origin": "EWR", "dest": "ORD", "sched_dep": NOW, "sched_arr": NOW},
            {},
            None,
            "1",
            {"probability": answer, "decision": answer > 0.5},
        )
        for name, answer in ANSWERED.items()
    ]
    opened.log.write(logged)
    opened.log.write_shadows("2", logged, SHADOWED, 0.5)
    return opened


def test_a_shadow_is_compared_on_the_requests_that_it_answered(project):
    compared = shadows.compare(project)
    assert json.loads(json.dumps(asdict(compared)))["losses"]["rows"] == 0
    assert (compared.version, compared.rows, compared.losses.rows) == ("2", 3, 0)
    assert compared.difference == pytest.approx(0.5 / 3) and compared.largest == 0.25


def test_losses_are_those_of_the_rows_with_an_outcome(project):
    project.log.label_predictions({"b": (1.0, NOW), "c": (1.0, NOW)})
    losses = shadows.compare(project).losses
    assert losses.rows == 2
    assert losses.mean == pytest.approx(-np.log([0.75, 0.5]).mean())
    assert losses.other == pytest.approx(-np.log([0.5, 0.75]).mean())


def test_only_the_challenger_s_answers_within_the_window_count(project, monkeypatch):
    for challenger in (Version("flights", "3", ""), None):
        with monkeypatch.context() as other:
            other.setattr(Registry, "challenger", lambda _, found=challenger: found)
            assert shadows.compare(project) is None
    project.clock.advance(NOW + project.spec.monitoring.window)
    assert shadows.compare(project) is None
