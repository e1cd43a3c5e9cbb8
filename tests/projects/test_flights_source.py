from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from projects.flights import source

DAY = datetime(2013, 2, 9, tzinfo=UTC), datetime(2013, 2, 10, tzinfo=UTC)


def flight(date, carrier, number, origin):
    day = datetime.fromisoformat(date).replace(tzinfo=UTC)
    flights = source.fetch(day, day + timedelta(days=3))["flights"]
    key = (flights["date"] == date) & (flights["carrier"] == carrier) & (flights["flight"] == number)
    return flights[key & (flights["origin"] == origin)].iloc[0]


def test_a_window_gives_what_became_known_in_it():
    for table in source.fetch(*DAY).values():
        assert table["available_at"].min() > pd.Timestamp(DAY[0])
        assert table["available_at"].max() <= pd.Timestamp(DAY[1])
        assert table["available_at"].is_monotonic_increasing
        assert str(table["available_at"].dtype) == "datetime64[us, UTC]"


def test_adjacent_windows_give_each_row_once():
    noon = DAY[0] + timedelta(hours=12)
    for name, whole in source.fetch(*DAY).items():
        halves = pd.concat([source.fetch(DAY[0], noon)[name], source.fetch(noon, DAY[1])[name]], ignore_index=True)
        pd.testing.assert_frame_equal(halves, whole)


def test_a_flight_is_known_when_it_has_landed():
    # 2013-01-01 UA1545 EWR-IAH: arrives 08:19 in Houston (UTC-6), 11 minutes late.
    landed = flight("2013-01-01", "UA", 1545, "EWR")
    assert landed["sched_dep"] == pd.Timestamp("2013-01-01T10:15Z")
    assert landed["sched_arr"] == pd.Timestamp("2013-01-01T14:19Z")
    assert landed["available_at"] == landed["landed"] == pd.Timestamp("2013-01-01T14:30Z")


def test_a_cancelled_flight_is_known_15_minutes_after_its_scheduled_arrival():
    flights = source.fetch(*DAY)["flights"]
    cancelled = flights[flights["dep_time"].isna()]
    assert len(cancelled) > 400
    assert cancelled["landed"].isna().all()
    assert (cancelled["available_at"] - cancelled["sched_arr"] == pd.Timedelta(minutes=15)).all()


@pytest.mark.parametrize(
    ("dest", "offset"), [("SJU", -4), ("BQN", -4), ("STT", -4), ("PSE", -4), ("HNL", -10), ("LAX", -8)]
)
def test_arrivals_are_read_in_the_zone_of_their_airport(dest, offset):
    flights = source.fetch(datetime(2013, 1, 5, tzinfo=UTC), datetime(2013, 1, 9, tzinfo=UTC))["flights"]
    there = flights[flights["dest"] == dest]
    local = (there["sched_arr"] + pd.Timedelta(hours=offset)).dt
    assert len(there) > 0
    assert (local.hour * 100 + local.minute == there["sched_arr_time"]).all()


def test_weather_is_known_an_hour_after_its_floored_hour():
    weather = source.fetch(*DAY)["weather"]
    assert (weather["available_at"] - weather["time_hour"] == pd.Timedelta(hours=1)).all()
    assert len(weather) == 72


def test_requests_are_the_schedule_two_hours_ahead_and_nothing_else():
    asked = source.requests(*DAY)
    assert list(asked.columns) == ["event_id", "asked_at", "carrier", "origin", "dest", "sched_dep", "sched_arr"]
    assert (asked["sched_dep"] - asked["asked_at"] == pd.Timedelta(hours=2)).all()
    assert asked["asked_at"].between(*DAY, inclusive="right").all()
    assert asked["event_id"].is_unique


def test_a_flight_is_named_by_its_key():
    assert "2013-02-09-UA1545-EWR" not in set(source.requests(*DAY)["event_id"])
    day = source.fetch(datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC))["flights"]
    assert "2013-01-01-UA1545-EWR" in set(source.event_ids(day))


def test_a_window_may_be_named_by_two_objects_for_utc():
    mixed = DAY[0], DAY[1].astimezone(ZoneInfo("America/New_York"))
    assert source.fetch(*mixed)["flights"].equals(source.fetch(*DAY)["flights"])
