"""A forecast on a running stack: from its file to the next hours, two replayed days, and the values that came true."""

from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest

from monitoring import skew
from stack.core.settings import Settings
from stack.features import datasets
from stack.project import Project, contract
from stack.serving.client import prediction_ids
from stack.specification import example, specs
from tests.end_to_end.test_titanic import run
from tests.forks import Forks
from tests.polling import PATIENCE_SECONDS

pytestmark = pytest.mark.services
BIKES = specs.load("bikes")
FIRST, UNTIL = datetime(2011, 3, 1, tzinfo=UTC), datetime(2011, 3, 3, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
REPLAY = f"""
from datetime import datetime
from flows.replay import replay
replay("bikes", datetime.fromisoformat({UNTIL.isoformat()!r}))
"""


def test_a_series_goes_the_whole_way(running: Settings, forks: Forks) -> None:
    output = run(forks, "run", "bikes")
    assert "mae against the same time last week" in output
    assert "version 1 is champion" in output
    assert (running.pages / "bikes" / "card-1.html").is_file()

    body = {"rows": [example.row(BIKES)], "explain": True}
    answer = httpx.post(f"{running.prediction_url}/bikes/predict", json=body, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200, answer.text
    (forecast,) = answer.json()
    hours = [datetime.fromisoformat(step["hour"]) for step in forecast["forecast"]]
    assert hours == [FIRST + timedelta(hours=step) for step in (1, 2, 3)]
    for step in forecast["forecast"]:
        reasons = step["reasons"]
        assert reasons["base"] + sum(reasons["contributions"].values()) == pytest.approx(step["prediction"], abs=1e-3)
    assert forecast["features_at"]

    replayed = forks.run(REPLAY, PATIENCE_SECONDS)
    assert replayed.exit_code == 0, replayed.output
    project = Project(running, BIKES)
    due = contract.request_source("bikes").requests(FIRST - MOMENT, UNTIL - MOMENT)
    log = project.log.read(FIRST - MOMENT, UNTIL - MOMENT)
    log = log[log["id"].isin(prediction_ids(BIKES, due["event_id"]))]
    assert len(log) == len(due) > 4 * 2 * 20
    known = datasets.arrived(project, FIRST, UNTIL).drop_duplicates("hour").set_index("hour")["bikers"]
    came_true = log["hour"].isin(known.index)
    assert (log.loc[came_true, "label"].to_numpy() == known[log.loc[came_true, "hour"]].to_numpy()).all()
    assert log.loc[~came_true, "label"].isna().all()
    assert came_true.mean() > 0.6
    assert abs(log["prediction"] - log["label"]).mean() < 60
    compared = skew.check(project, FIRST - timedelta(days=1), UNTIL)
    assert compared.rows >= len(due)
    assert (compared.differing, compared.examples) == (0, ())
    assert pd.Timestamp(project.clock.now()) == pd.Timestamp(UNTIL)
