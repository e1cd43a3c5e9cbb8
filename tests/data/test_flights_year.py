"""What is known of the year's data: a change of the package, or of how it is read, shows here."""

from datetime import UTC, datetime, timedelta

import pytest

from projects.flights import checks, features, source
from stack.core import settings
from stack.project import Project
from stack.specification import specs
from stack.validation import validation

YEAR = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def tables():
    return source.fetch(*YEAR)


def test_the_year_is_whole(tables):
    assert len(tables["flights"]) == 336_776
    assert len(tables["weather"]) == 26_115
    assert tables["flights"].groupby("origin").size().to_dict() == {"EWR": 120_835, "JFK": 111_279, "LGA": 104_662}


def test_the_share_of_late_flights_by_month(tables):
    events = features.events(tables)
    assert events["late"].sum() == 89_530
    by_month = events["late"].groupby(events["event_id"].str[5:7]).mean() * 100
    assert by_month.tolist() == pytest.approx([25, 28, 26, 31, 25, 34, 35, 26, 16, 18, 19, 36], abs=0.6)


def test_keys_are_unique(tables):
    for name, table in specs.load("flights").tables.items():
        assert not tables[name].duplicated(table.key).any()
    assert tables["flights"].duplicated(["date", "carrier", "flight"]).sum() == 24


def test_known_codes_of_the_project_are_those_of_the_year(tables):
    request = specs.load("flights").request
    for name in ("carrier", "origin", "dest"):
        assert sorted(tables["flights"][name].unique()) == request[name].known


def test_schedules_are_plausible(tables):
    flights = tables["flights"]
    elapsed = (flights["sched_arr"] - flights["sched_dep"]).dt.total_seconds() / 60
    assert elapsed.between(40, 720).all()
    # Taxiing takes time: a zone read wrongly shows as a flight scheduled for an hour less than it was in the air.
    assert ((elapsed - flights["air_time"]) < -60).sum() < 10


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory):
    """The first 59 days as they are ingested, the rest of the year in two batches, and special days on their own."""
    home = tmp_path_factory.mktemp("home")
    stack, spec = settings.load({"STACK_HOME": str(home)}, home / "none.env"), specs.load("flights")
    march, august = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 8, 1, tzinfo=UTC)
    special = [datetime(2013, month, day, tzinfo=UTC) for month, day in SPECIAL]
    windows = [
        *((YEAR[0], march), (march, august), (august, datetime(2014, 1, 1, tzinfo=UTC))),
        *((day, day + timedelta(days=1)) for day in special),
    ]
    return {
        (since, until): validation.validate(
            Project(stack, spec), source.fetch(since, until), source.fetch(since - checks.HISTORY, since), since, until
        )
        for since, until in windows
    }


# Storms, clock changes, the quiet days of Thanksgiving and Christmas, and the end of the weather feed.
SPECIAL = [(2, 9), (2, 10), (3, 10), (11, 3), (11, 29), (12, 25), (12, 31)]


def test_the_clean_year_is_accepted_but_for_one_wind(verdicts):
    assert [window for window, verdict in verdicts.items() if not verdict.accepted] == []
    assert [verdict.quarantined_rows for verdict in verdicts.values()] == [1] + [0] * (len(verdicts) - 1)


def test_the_first_batch_warns_of_its_storms_and_its_wind(verdicts):
    warnings = " ".join(verdicts[YEAR[0], datetime(2013, 3, 1, tzinfo=UTC)].warnings)
    assert "2013-02-08: 0.5075, 2013-02-09: 0.5746" in warnings
    assert "wind of 0 to 100 mph; found 1 of 4221 wrong (1048)" in warnings


def test_the_end_of_the_weather_feed_warns(verdicts):
    december = verdicts[datetime(2013, 12, 31, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)]
    assert december.tables["weather"].empty
    assert "the feed is down" in " ".join(december.warnings)
