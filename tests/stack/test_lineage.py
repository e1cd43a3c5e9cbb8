"""A prediction is traced to the rows of its feature views, and to the raw rows that were known then."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from stack import lineage
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features import feature_tables
from stack.lake import lake
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.specification import specs

START, ASKED, END = (datetime(2013, 1, day, tzinfo=UTC) for day in (1, 3, 5))
REQUEST = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "sched_dep": ASKED, "sched_arr": ASKED}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Project:
    """Flights, of which one landed every hour from two airports in turn, with a feature table and two predictions."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    opened = Project(settings, specs.load("flights"))
    lake.prepare(settings)
    at = pd.date_range(START, END, freq="h", unit="us")[1:]
    rows = pd.DataFrame({"available_at": at, "date": at.strftime("%Y-%m-%d"), "carrier": "AA", "dest": "MIA"})
    rows = rows.assign(flight=range(len(rows)), origin=["EWR", "LGA"] * (len(rows) // 2))
    weather = pd.DataFrame({"origin": "EWR", "time_hour": at, "available_at": at})
    opened.lake.append({"flights": rows, "weather": weather}, START, END)
    view = pd.DataFrame({"origin": "EWR", "event_timestamp": at, "origin_delay_2h": range(len(at))})
    view["origin_late_2h"] = 0.5
    feature_tables.replace(feature_tables.folder(opened) / "origin_stats", view, START, END)
    features = {"origin_delay_2h": 47.0, "origin_late_2h": None, "dep_minute": 1.0}
    words = {"answered_at": ASKED, "request": REQUEST, "features": features, "features_at": ASKED}
    words |= {"model_version": "1", "answer": {"probability": 0.5, "decision": True}}
    opened.log.write([Prediction("a", asked_at=ASKED, **words), Prediction("early", asked_at=START, **words)])
    return opened


def test_a_view_has_the_row_of_the_instant_and_what_differs_from_the_log(project):
    (view,) = lineage.main(project, "a", rows=False)["views"]
    assert (view["name"], view["keys"], view["at"]) == ("origin_stats", {"origin": "EWR"}, ASKED.isoformat())
    assert view["features"] == ["origin_delay_2h", "origin_late_2h"] and view["different"] == ["origin_late_2h"]


def test_the_raw_rows_have_the_keys_and_were_known_by_then(project):
    flights, weather = lineage.main(project, "a", rows=True)["tables"]
    hours = project.features.LOOKBACK / timedelta(hours=1)
    assert (flights["table"], flights["keys"], flights["count"]) == ("flights", {"origin": "EWR"}, hours / 2)
    assert weather["count"] == hours and weather["views"] == ["origin_stats"]
    known = [row[flights["columns"].index("available_at")] for row in flights["rows"]]
    assert known == sorted(known, reverse=True) and known[0] == str(ASKED - timedelta(hours=1))
    assert len(weather["rows"]) == min(hours, lineage.SHOWN)


def test_without_a_row_of_a_view_there_is_nothing_to_show(project):
    traced = lineage.main(project, "early", rows=True)
    assert [view["at"] for view in traced["views"]] == [""] and traced["tables"] == []
    with pytest.raises(StackError, match="no such prediction"):
        lineage.main(project, "unknown", rows=False)
