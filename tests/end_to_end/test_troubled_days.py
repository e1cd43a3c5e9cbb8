"""Bad days in a replay: each gets its answer, the replay goes on, and a day that is corrected later is loaded."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from monitoring import frames
from monitoring.policy import decide
from stack.core.settings import Settings
from stack.kit.drift import Window
from stack.lake import lake
from stack.project import Project, contract
from stack.serving import observed
from stack.serving.client import prediction_ids
from stack.specification import specs
from tests.end_to_end.test_flights import celsius
from tests.forks import Forks

pytestmark = pytest.mark.services
FLIGHTS = specs.load("flights")
DAY, MOMENT = timedelta(days=1), timedelta(microseconds=1)
Batch = dict[str, pd.DataFrame]


def march(day: int) -> datetime:
    return datetime(2013, 3, day, tzinfo=UTC)


BEGIN, END = march(3), march(15)
TWICE, CELSIUS, NEW_CARRIER, NO_OUTCOMES, NO_WEATHER = 3, 4, 5, range(6, 11), range(11, 15)
REFUSED = [march(day) for day in (TWICE, CELSIUS, *NO_OUTCOMES)]


def shocked(tables: Batch, since: datetime, day_before: Batch) -> Batch:
    """The rows of a day, as a source gives them that goes wrong."""
    flights = tables["flights"]
    if since.day == TWICE:
        return {name: pd.concat([day_before[name], table]) for name, table in tables.items()}
    if since.day == CELSIUS:
        return celsius(tables)
    if since.day == NEW_CARRIER:
        return tables | {"flights": renamed(flights)}
    if since.day in NO_OUTCOMES:
        outcome = {name: flights[name].mask(flights[name].notna()) for name in ("arr_time", "arr_delay", "landed")}
        return tables | {"flights": flights.assign(**outcome)}
    if since.day in NO_WEATHER:
        return tables | {"weather": tables["weather"].iloc[:0]}
    return tables


def renamed(rows: pd.DataFrame) -> pd.DataFrame:
    """A carrier under a code that has not been seen before."""
    return rows.assign(carrier=rows["carrier"].replace("AA", "Z9"))


REPLAY = """
from datetime import datetime, timedelta
from projects.flights import source
from flows.replay import replay
from tests.end_to_end.test_troubled_days import END, NEW_CARRIER, renamed, shocked
fetch, requests = source.fetch, source.requests
def asked(since, until):
    rows = requests(since, until)
    return renamed(rows) if until.day == NEW_CARRIER else rows
source.requests = asked
source.fetch = lambda since, until: shocked(fetch(since, until), since, fetch(since - timedelta(days=1), since))
replay("flights", END)
"""
INGEST = """
from flows.ingest import ingest
from tests.end_to_end.test_troubled_days import NO_OUTCOMES, DAY, march
ingest("flights", march(NO_OUTCOMES[0]), march(NO_OUTCOMES[0]) + DAY)
"""


def run(forks: Forks, code: str) -> str:
    """Run a flow until it succeeds; return its output."""
    ended = forks.run(code, 900)
    assert ended.exit_code == 0, ended.output[-3000:]
    return ended.output


@pytest.fixture(scope="module")
def output(forks: Forks) -> str:
    """The output of the replay, from the first shock to the last."""
    return run(forks, REPLAY)


def verdict(settings: Settings, since: datetime) -> dict[str, Any]:
    file = settings.quarantine / "flights" / lake.batch_id(since, since + DAY) / "verdict.json"
    return json.loads(file.read_text())  # type: ignore[no-any-return]


def test_the_replay_goes_on_and_every_flight_is_answered_once(running: Settings, output: str) -> None:
    assert Project(running, FLIGHTS).clock.now() == END
    due = contract.request_source(FLIGHTS.name).requests(BEGIN - MOMENT, END - MOMENT)
    answered = log(running, BEGIN, END)["id"]
    assert len(due) > 10_000
    assert sorted(answered[answered.isin(asked := prediction_ids(FLIGHTS, due["event_id"]))]) == sorted(asked)


def test_bad_batches_are_refused_and_the_others_are_in_the_lake(running: Settings, output: str) -> None:
    loaded = set(Project(running, FLIGHTS).lake.batches()["since"])
    assert [day for day in pd.date_range(BEGIN, END - DAY) if day not in loaded] == REFUSED
    assert "delivered before" in " ".join(verdict(running, march(TWICE))["failures"])
    assert "humidity" in " ".join(verdict(running, march(CELSIUS))["failures"])
    for day in NO_OUTCOMES:
        assert "without an arrival" in " ".join(verdict(running, march(day))["failures"])
    assert output.count("flights: batch refused") == len(REFUSED)


def test_a_new_carrier_is_accepted_with_a_notice(running: Settings, output: str) -> None:
    assert "carriers seen in recent weeks; found" in output and "Z9" in output
    asked = log(running, march(NEW_CARRIER), march(NEW_CARRIER) + DAY)
    new = asked[asked["carrier"] == "Z9"]
    assert len(new) > 50 and new["label"].notna().mean() > 0.5


def test_labels_are_held_while_outcomes_are_missing(running: Settings, output: str) -> None:
    days = log(running, march(NO_OUTCOMES[0]) + DAY, march(NO_OUTCOMES[-1]))
    assert len(days) > 2000
    assert days["label"].isna().all()


def test_lost_weather_is_an_alarm_and_nothing_is_retrained(running: Settings, output: str) -> None:
    assert "the feed is down" in output
    report = json.loads((running.pages / "flights" / f"{END:%Y%m%dT%H%M%SZ}.json").read_text())
    assert {"temp", "wind_speed", "visib"} <= set(report["lost"])
    assert report["verdict"]["action"] == "notice"
    assert f"flights: notice: {report['verdict']['summary']}" in output
    assert Project(running, FLIGHTS).registry.challenger() is None
    assert Project(running, FLIGHTS).registry.require_champion().cutoff <= BEGIN


def test_the_labels_that_were_held_would_have_retrained(running: Settings, output: str) -> None:
    """Even if so few labels decided, the policy would let the champion be; with those that were held it would not."""
    champion = Project(running, FLIGHTS).registry.require_champion()
    report = json.loads((running.pages / "flights" / f"{END:%Y%m%dT%H%M%SZ}.json").read_text())
    seen = Window(**report["window"] | {"at": END})
    policy = FLIGHTS.monitoring.model_copy(update={"min_labelled": seen.labelled})
    assert seen.labelled > 3000 and seen.bias is not None
    assert not decide(policy, [seen], at=END, cutoff=champion.cutoff).retrain

    # As the source gave them: a flight without an arrival reads as late.
    answers = observed.answered(Project(running, FLIGHTS), champion.cutoff, END)
    unheld = answers[answers["model_version"] == champion.version]
    days = unheld["event_timestamp"].between(march(NO_OUTCOMES[0]), march(NO_OUTCOMES[-1] + 1))
    unheld = unheld.assign(late=unheld["late"].where(~days, 1.0))
    poisoned = frames.outcomes(FLIGHTS, frames.prediction_columns(FLIGHTS, unheld), END, champion.cutoff)
    verdict = decide(policy, [replace(seen, **vars(poisoned))], at=END, cutoff=champion.cutoff)
    assert [reason.name for reason in verdict.reasons if reason.action == "retrain"] == ["bias"]


def test_a_day_that_is_mended_is_loaded_later(running: Settings, forks: Forks, output: str) -> None:
    day = march(NO_OUTCOMES[0])
    before = stats(running, day)
    run(forks, INGEST)
    batches = Project(running, FLIGHTS).lake.batches()
    assert day in set(batches["since"])

    assert log(running, day, day + DAY)["label"].notna().mean() > 0.6
    after = stats(running, day)
    assert before["origin_late_2h"].isna().all()
    assert after["origin_late_2h"].notna().mean() > 0.7

    revision = lake.newest_revision(running)
    run(forks, INGEST)
    assert lake.newest_revision(running) == revision
    pd.testing.assert_frame_equal(stats(running, day), after)


def log(settings: Settings, since: datetime, until: datetime) -> pd.DataFrame:
    return Project(settings, FLIGHTS).log.read(since - MOMENT, until - MOMENT)


def stats(settings: Settings, day: datetime) -> pd.DataFrame:
    """The features of the airports in the last hours of a day, as the offline store has them."""
    table = pd.read_parquet(settings.feature_tables / "flights" / "origin_stats")
    inside = (table["event_timestamp"] > day + DAY / 2) & (table["event_timestamp"] <= day + DAY)
    return table[inside].sort_values(["event_timestamp", "origin"], ignore_index=True)
