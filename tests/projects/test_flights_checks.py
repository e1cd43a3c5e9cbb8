from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from projects.flights import checks, source
from stack.core import settings
from stack.project import Project
from stack.specification import specs
from stack.validation import validation

DAY = timedelta(days=1)
MONDAY = datetime(2013, 10, 7, tzinfo=UTC)
OUTCOME = {name: float("nan") for name in ("arr_time", "arr_delay")}


@pytest.fixture(scope="module")
def spec():
    return specs.load("flights")


@pytest.fixture
def check(spec, tmp_path):
    home = settings.load({"STACK_HOME": str(tmp_path)}, tmp_path / "none.env")

    def run(since, until, history=True, **shocks):
        tables = source.fetch(since, until)
        past = source.fetch(since - checks.HISTORY, since) if history else {}
        for name, shock in shocks.items():
            tables[name] = shock(tables[name])
        return validation.validate(Project(home, spec), tables, past, since, until)

    return run


def hours(frame, *columns):
    return frame.assign(**{column: frame[column] + pd.Timedelta(hours=1) for column in columns})


def unlanded(flights, **columns):
    called = flights["sched_arr"] + pd.Timedelta(minutes=15)
    return flights.assign(landed=flights["landed"].where(flights["flight"] < 0), **columns).assign(available_at=called)


REFUSED = {
    "delivered twice": ("flights", lambda f: pd.concat([f, f]), "one row of each date, carrier, flight, origin"),
    "celsius": ("weather", lambda w: w.assign(temp=(w.temp - 32) / 1.8, dewp=(w.dewp - 32) / 1.8), "humidity within"),
    "temperature in celsius": ("weather", lambda w: w.assign(temp=(w.temp - 32) / 1.8), "humidity within"),
    "missing column": ("weather", lambda w: w.drop(columns="dewp"), "found no dewp"),
    "no arrivals": ("flights", lambda f: unlanded(f, **OUTCOME), "departures delivered in a day without an arrival"),
    "no outcomes": (
        "flights",
        lambda f: unlanded(f, **OUTCOME, dep_time=float("nan"), dep_delay=float("nan")),
        "rows delivered in a day cancelled",
    ),
    "hour shifted": ("flights", lambda f: hours(f, "time_hour"), "the local date and hour"),
    "departure shifted": ("flights", lambda f: hours(f, "sched_dep"), "the local date and clock"),
    "all instants shifted": (
        "flights",
        lambda f: hours(f, "time_hour", "sched_dep", "sched_arr", "landed", "available_at"),
        "available_at in the window",
    ),
    "weather shifted": ("weather", lambda w: hours(w, "time_hour"), "a time_hour that is the local hour"),
    "delay in seconds": ("flights", lambda f: f.assign(arr_delay=f.arr_delay * 60), "the clocks' difference"),
    "half the rows": ("flights", lambda f: f.iloc[: len(f) * 2 // 5], "the weekday's median of rows delivered"),
    "few hours of weather": ("weather", lambda w: w.iloc[:30], "at least 12 hours of weather"),
    "no flights": ("flights", lambda f: f.iloc[:0], "the weekday's median of rows delivered"),
}


@pytest.mark.parametrize("shock", REFUSED)
def test_a_shock_is_refused(check, shock):
    table, change, reason = REFUSED[shock]
    verdict = check(MONDAY, MONDAY + DAY, **{table: change})
    assert not verdict.accepted
    assert reason in " ".join(verdict.failures)


def test_yesterday_delivered_again_is_refused(check):
    yesterday = source.fetch(MONDAY - DAY, MONDAY)["flights"]
    verdict = check(MONDAY, MONDAY + DAY, flights=lambda flights: pd.concat([flights, yesterday]))
    assert "rows not delivered before; found" in " ".join(verdict.failures)


def test_a_day_without_weather_is_accepted_with_a_warning(check):
    verdict = check(MONDAY, MONDAY + DAY, weather=lambda weather: weather.iloc[:0])
    assert verdict.accepted
    assert "2013-10-07 JFK: no row" in " ".join(verdict.warnings)
    assert len(verdict.tables["flights"]) > 800


def test_a_new_carrier_is_accepted_with_a_warning(check):
    verdict = check(MONDAY, MONDAY + DAY, flights=lambda f: f.assign(carrier=f["carrier"].replace("9E", "ZZ")))
    assert verdict.accepted
    assert "carriers seen in recent weeks; found" in verdict.warnings[0]
    assert "(ZZ" in verdict.warnings[0]


def test_a_refused_day_does_not_refuse_the_next(check):
    def without_sunday(tables):
        return {name: table[table["available_at"] <= MONDAY - DAY] for name, table in tables.items()}

    past = without_sunday(source.fetch(MONDAY - checks.HISTORY, MONDAY))
    window = checks._Window(past["flights"], MONDAY, MONDAY + DAY)
    assert list(window.judged(*checks.LOCAL_DAY)) == []
    assert [day.day for day in window.judged(*checks.UTC_DAY)] == [7]


def test_humidity_follows_from_temperature_and_dew_point():
    humidity = checks._humidity(pd.Series([39.02, 86.0]), pd.Series([26.06, 86.0]))
    assert humidity.round(1).tolist() == [59.4, 100.0]
