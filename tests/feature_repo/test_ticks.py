"""Features pushed online tick by tick are those that the offline store gives for the same instants."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from monitoring.skew import compare
from stack.core.settings import Settings
from stack.features import feature_tables, features
from stack.features.online import OnlineFeatures
from stack.features.ticks import Ticks
from stack.project import Project, contract
from stack.replay.replay import INSTANT
from stack.specification.specs import ProjectSpec

DAY, HOUR = datetime(2013, 1, 3, tzinfo=UTC), timedelta(hours=1)


def served(online: OnlineFeatures, spec: ProjectSpec, events: pd.DataFrame) -> pd.DataFrame:
    """Ask about many rows at once, each at its own instant."""
    instants = [instant.to_pydatetime() for instant in events["event_timestamp"]]
    rows = online.read(events[list(spec.request)].to_dict("records"), instants)
    return pd.DataFrame(rows.columns).assign(id=events["event_id"].to_numpy(), event_timestamp=instants)


def test_rows_between_two_ticks_are_served_what_the_offline_store_gives(
    three_days: Settings, flights: ProjectSpec
) -> None:
    features.materialise(Project(three_days, flights), DAY - 24 * HOUR, DAY)
    online, ticks = OnlineFeatures(Project(three_days, flights)), Ticks(Project(three_days, flights))
    instants = ticks.load(DAY, DAY + 24 * HOUR)
    assert instants == [DAY + hour * HOUR for hour in range(1, 25)]
    parts, waiting = [], []
    for instant in instants[:23]:
        waiting.append(instant)
        if instant.hour % 4 == 0:
            ticks.push(waiting)
            waiting = []
        requests = contract.request_source(flights.name).requests(instant - INSTANT, instant + HOUR - INSTANT)
        if instant.hour % 4 == 0 and len(requests):
            parts.append(requests.rename(columns={"asked_at": "event_timestamp"}))
            parts[-1] = parts[-1].assign(**served(online, flights, parts[-1])[list(flights.features.columns)])
    asked = pd.concat(parts, ignore_index=True)
    offline = features.training_set(
        Project(three_days, flights), asked[["event_id", "event_timestamp", *flights.request]]
    )
    skew = compare(flights, asked.assign(id=asked["event_id"]), offline)
    assert skew.rows > 150
    assert (skew.differing, skew.examples) == (0, ())


def test_rows_that_are_all_null_hide_older_values(three_days: Settings, flights: ProjectSpec) -> None:
    tick = DAY + 30 * HOUR
    weather = [name for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "visib")]
    known = pd.DataFrame({"origin": ["EWR"], "event_timestamp": [pd.Timestamp(tick - HOUR)]})
    known[weather] = np.float32(7)
    unknown = known.assign(event_timestamp=pd.Timestamp(tick), **dict.fromkeys(weather, np.float32("nan")))
    feature_tables.replace(
        three_days.feature_tables / "flights" / "weather", pd.concat([known, unknown]), tick - 2 * HOUR, tick
    )
    online, ticks = OnlineFeatures(Project(three_days, flights)), Ticks(Project(three_days, flights))
    assert ticks.load(tick - 2 * HOUR, tick) == [tick - HOUR, tick]
    question = {"carrier": "UA", "origin": "EWR", "dest": "ORD", "sched_dep": tick, "sched_arr": tick + HOUR}
    ticks.push([tick - HOUR])
    assert online.read([question], tick).columns["temp"] == [7]
    ticks.push([tick])
    assert np.isnan(online.read([question], tick).columns["temp"][0])
    event = pd.DataFrame([question | {"event_timestamp": pd.Timestamp(tick)}])
    assert features.training_set(Project(three_days, flights), event)["temp"].isna().all()
