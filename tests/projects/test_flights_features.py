from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from projects.flights import features, source
from stack.specification import specs

SINCE, UNTIL = datetime(2013, 2, 7, tzinfo=UTC), datetime(2013, 2, 11, tzinfo=UTC)
REQUEST = {
    "carrier": ["UA"],
    "origin": ["EWR"],
    "dest": ["ORD"],
    "sched_dep": [datetime(2013, 3, 1, 8, 0, tzinfo=ZoneInfo("America/New_York"))],
    "sched_arr": [datetime(2013, 3, 1, 9, 37, tzinfo=ZoneInfo("America/Chicago"))],
}


@pytest.fixture(scope="module")
def tables():
    return source.fetch(SINCE - features.LOOKBACK, UNTIL)


@pytest.fixture(scope="module")
def views(tables):
    return features.build(tables, SINCE, UNTIL)


def landings(*rows):
    """Flights of UA from EWR to ORD: (landed at hh:mm of 1 May, delay)."""
    landed = pd.to_datetime([f"2013-05-01T{at}Z" for at, _ in rows]).as_unit("us")
    frame = {"origin": "EWR", "carrier": "UA", "dest": "ORD", "landed": landed, "arr_delay": [d for _, d in rows]}
    return pd.DataFrame(frame).astype({"arr_delay": "float64"})


def at(view, hour):
    return view[view["event_timestamp"] == pd.Timestamp(f"2013-05-01T{hour:02d}:00Z")].iloc[0]


def build(flights):
    weather = source.fetch(SINCE, UNTIL)["weather"].iloc[:0]
    day = datetime(2013, 5, 1, tzinfo=UTC)
    return features.build({"flights": flights, "weather": weather}, day, day + timedelta(days=1))


def test_a_window_excludes_its_start_and_includes_its_tick():
    view = build(landings(("08:00", 100), ("09:00", 20), ("10:00", 0), ("10:01", 50)))["origin_stats"]
    assert at(view, 10)["origin_delay_2h"] == 10
    assert at(view, 10)["origin_late_2h"] == 0.5
    assert at(view, 10)["origin_delay_6h"] == 40
    assert at(view, 11)["origin_delay_2h"] == 25


def test_late_is_15_minutes_or_more():
    assert at(build(landings(("09:10", 14), ("09:20", 15)))["dest_stats"], 10)["dest_late_2h"] == 0.5


def test_an_hour_without_landings_is_null_and_an_entity_without_any_has_no_row():
    view = build(landings(("01:30", 5)))["carrier_stats"]
    assert np.isnan(at(view, 4)["carrier_delay_2h"])
    assert at(view, 4)["carrier_delay_6h"] == 5
    assert view["event_timestamp"].min() == pd.Timestamp("2013-05-01T02:00Z")
    assert build(landings(("01:30", 5)).iloc[:0])["carrier_stats"].empty


def test_a_feed_that_is_down_gives_typed_views_without_rows(views):
    silent = features.build({"flights": pd.DataFrame(), "weather": pd.DataFrame()}, SINCE, UNTIL)
    for name, view in silent.items():
        assert view.empty
        pd.testing.assert_series_equal(view.dtypes, views[name].dtypes)


def test_views_are_typed_for_the_offline_store(views):
    wanted = {
        column
        for column, kind in specs.load("flights").features.columns.items()
        if kind == "number" and column not in features.on_request(REQUEST)
    }
    assert {column for view in views.values() for column in view.columns[2:]} == wanted
    for view in views.values():
        assert str(view["event_timestamp"].dtype) == "datetime64[us, UTC]"
        assert set(view.dtypes.iloc[2:].astype(str)) == {"float32"}
        assert not view.duplicated([view.columns[0], "event_timestamp"]).any()


def test_running_sums_equal_a_plain_mean(tables, views):
    flights = tables["flights"]
    for entity in ("origin", "carrier", "dest"):
        for row in views[f"{entity}_stats"].sample(20, random_state=1).to_dict("records"):
            for hours in features.WINDOWS:
                tick = row["event_timestamp"]
                recent = flights["landed"].between(tick - pd.Timedelta(hours=hours), tick, inclusive="right")
                landed = flights.loc[recent & (flights[entity] == row[entity]), "arr_delay"]
                means = [row[f"{entity}_{what}_{hours}h"] for what in ("delay", "late")]
                late = (landed >= 15).mean() if len(landed) else np.nan
                np.testing.assert_allclose(means, [landed.mean(), late], rtol=1e-6)


@pytest.mark.parametrize("instant", ["2013-02-08T15:00Z", "2013-02-09T03:20Z", "2013-02-10T23:59Z"])
def test_features_are_blind_to_what_was_not_known(tables, views, instant):
    # The storms of 8 and 9 February: hundreds of flights late, cancelled or still in the air.
    now = pd.Timestamp(instant)
    known = {name: table[table["available_at"] <= now].copy() for name, table in tables.items()}
    flights = known["flights"]
    assert (flights["landed"].isna() | (flights["landed"] <= now)).all()
    assert len(tables["flights"]) > len(flights)
    rebuilt = features.build(known, SINCE, now)
    for name, view in views.items():
        by = list(view.columns[:2])
        before = view[view["event_timestamp"] <= now].sort_values(by, ignore_index=True)
        pd.testing.assert_frame_equal(rebuilt[name].sort_values(by, ignore_index=True), before, check_exact=True)


def test_blindness_notices_a_feature_that_looks_ahead(tables):
    # Counting a delay from the departure on, when the arrival is not known yet.
    def peek(known):
        flights = known["flights"]
        departed = flights["sched_dep"] + flights["dep_delay"] * pd.Timedelta(minutes=1)
        return {**known, "flights": flights.assign(landed=departed.where(flights["landed"].notna()))}

    now = pd.Timestamp("2013-02-09T03:20Z")
    known = {name: table[table["available_at"] <= now] for name, table in tables.items()}
    whole, rebuilt = (features.build(peek(seen), SINCE, now)["origin_stats"] for seen in (tables, known))
    assert not rebuilt.equals(whole)


def test_a_day_at_a_time_gives_the_same_features(tables, views):
    parts, since = [], SINCE
    while since < UNTIL:
        until = since + timedelta(days=1)
        parts.append(features.build(source.fetch(since - features.LOOKBACK, until), since, until))
        since = until
    for name, view in views.items():
        by = list(view.columns[:2])
        joined = pd.concat([part[name] for part in parts]).sort_values(by, ignore_index=True)
        pd.testing.assert_frame_equal(joined, view.sort_values(by, ignore_index=True), check_exact=True)


def test_weather_is_stamped_when_it_is_known(tables, views):
    weather = views["weather"]
    assert list(weather.columns) == ["origin", "event_timestamp", *features.WEATHER]
    noon = tables["weather"].set_index(["origin", "time_hour"]).loc[("JFK", pd.Timestamp("2013-02-08T12:00Z"))]
    then = weather[(weather["origin"] == "JFK") & (weather["event_timestamp"] == pd.Timestamp("2013-02-08T13:00Z"))]
    assert then["temp"].item() == np.float32(noon["temp"])


def test_events_carry_the_label_and_when_it_was_known(tables):
    events = features.events(tables)
    flights = tables["flights"]
    assert events["late"].tolist() == [int(not delay < 15) for delay in flights["arr_delay"]]
    assert (events["event_timestamp"] == events["sched_dep"] - pd.Timedelta(hours=2)).all()
    late = events["late"] == 1
    called = events["sched_arr"] + pd.Timedelta(minutes=15)
    assert (events["label_available_at"][late] == called[late]).all()
    assert (events["label_available_at"][~late] == flights["landed"][~late]).all()
    assert (events["label_available_at"] <= flights["available_at"]).all()


def test_request_features_of_one_flight():
    assert features.on_request(REQUEST) == {
        "dep_minute": [480.0],
        "dep_weekday": [4.0],
        "sched_elapsed": [157.0],
        "carrier_id": ["UA"],
        "origin_id": ["EWR"],
        "dest_id": ["ORD"],
    }


@pytest.mark.parametrize(
    ("departure", "minute", "weekday"),
    [
        ("2013-03-10T06:59:00+00:00", 119, 6),  # the last minute of winter time
        ("2013-03-10T07:00:00+00:00", 180, 6),
        ("2013-11-03T05:30:00+00:00", 90, 6),
        ("2013-11-03T06:30:00+00:00", 90, 6),  # the hour that repeats
        ("2013-07-01T03:59:00+00:00", 1439, 6),
        ("2013-07-01T13:00:00+09:00", 0, 0),
        ("2013-07-01T12:00:00", 480, 0),  # without a zone: UTC
    ],
)
def test_the_local_clock_follows_new_york(departure, minute, weekday):
    values = features.on_request(REQUEST | {"sched_dep": [datetime.fromisoformat(departure)]})
    assert (values["dep_minute"], values["dep_weekday"]) == ([minute], [weekday])


def test_request_features_of_many_rows_equal_those_of_each(tables):
    events = features.events(tables).head(500)
    columns = {name: events[name].tolist() for name in source.REQUEST}
    many = features.on_request(columns)
    for number in range(0, 500, 50):
        single = features.on_request({name: [values[number]] for name, values in columns.items()})
        assert single == {name: [values[number]] for name, values in many.items()}
