"""The promise: features served online at an instant are those that the offline store gives for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stack.core.settings import Settings
from stack.features import features
from stack.features.online import OnlineFeatures
from stack.project import Project, contract
from stack.specification.specs import ProjectSpec

HOUR = timedelta(hours=1)
DAY = datetime(2013, 1, 3, tzinfo=UTC)


def asked(spec: ProjectSpec, since: datetime, until: datetime) -> pd.DataFrame:
    """The flights of which the lake's three days tell, as they would be asked about in a window."""
    requests: pd.DataFrame = contract.request_source(spec.name).requests(since, until)
    return requests.rename(columns={"asked_at": "event_timestamp"})


def served(online: OnlineFeatures, spec: ProjectSpec, requests: pd.DataFrame) -> pd.DataFrame:
    """Ask online, each request at its own instant."""
    rows = []
    for request in requests.to_dict("records"):
        given: dict[str, Any] = {name: request[name] for name in spec.request}
        answer = online.read([given], request["event_timestamp"].to_pydatetime())
        rows.append({name: values[0] for name, values in answer.columns.items()})
    return pd.DataFrame(rows)


def differing_cells(left: pd.DataFrame, right: pd.DataFrame) -> int:
    same = (left.to_numpy() == right.to_numpy()) | (left.isna().to_numpy() & right.isna().to_numpy())
    return int((~same).sum())


def test_online_is_offline_at_every_hour_of_a_day(three_days: Settings, flights: ProjectSpec) -> None:
    before, differ, compared, missing = DAY, 0, 0, 0
    features.materialise(Project(three_days, flights), DAY - 24 * HOUR, DAY)
    online = OnlineFeatures(Project(three_days, flights))
    for hour in (0, 11, 17, 22):
        now = DAY + hour * HOUR
        features.materialise(Project(three_days, flights), before, now)
        before = now
        requests = asked(flights, now - timedelta(microseconds=1), now + HOUR - timedelta(microseconds=1))
        offline = features.training_set(Project(three_days, flights), requests)[list(flights.features.columns)]
        answers = served(online, flights, requests)
        together = online.read(requests.to_dict("records"), requests["event_timestamp"].dt.to_pydatetime().tolist())
        differ += differing_cells(answers, offline) + differing_cells(pd.DataFrame(together.columns), offline)
        compared, missing = compared + answers.size, missing + int(answers.isna().to_numpy().sum())
    assert differ == 0
    assert compared > 3_000
    assert 0 < missing < compared / 2


def test_training_values_are_those_of_an_independent_join(three_days: Settings, flights: ProjectSpec) -> None:
    requests = asked(flights, DAY, DAY + 24 * HOUR).sample(frac=1, random_state=1)
    rows = features.training_set(Project(three_days, flights), requests)
    assert rows["event_id"].tolist() == requests["event_id"].tolist()
    assert rows.index.equals(requests.index)
    for view, key, ttl in (("dest_stats", "dest", 2), ("weather", "origin", 3)):
        table = pd.concat(pd.read_parquet(path) for path in (three_days.feature_tables / "flights" / view).iterdir())
        expected = pd.merge_asof(
            requests.reset_index().sort_values("event_timestamp"),
            table.sort_values("event_timestamp"),
            on="event_timestamp",
            by=key,
            tolerance=pd.Timedelta(hours=ttl),
        ).set_index("index")
        columns = [name for name in table if name in flights.features.columns]
        pd.testing.assert_frame_equal(rows[columns], expected.loc[requests.index, columns], check_names=False)


def test_columns_have_the_types_that_the_model_reads(three_days: Settings, flights: ProjectSpec) -> None:
    rows = features.training_set(Project(three_days, flights), asked(flights, DAY, DAY + HOUR))
    assert [str(rows[name].dtype) for name in flights.column_types("number")] == ["float32"] * 28
    assert (
        rows[["carrier_id", "origin_id", "dest_id"]].to_numpy().tolist()
        == rows[["carrier", "origin", "dest"]].to_numpy().tolist()
    )
    assert rows["dep_minute"].between(0, 1439).all()


def test_no_events_give_an_empty_training_set(three_days: Settings, flights: ProjectSpec) -> None:
    rows = features.training_set(Project(three_days, flights), asked(flights, DAY, DAY))
    assert len(rows) == 0
    assert set(flights.features.columns) <= set(rows.columns)


def test_a_window_computed_again_in_parts_is_the_same(
    three_days: Settings, flights: ProjectSpec, tmp_path: Path
) -> None:
    def content(settings: Settings) -> dict[str, pd.DataFrame]:
        tables = {path.parent.name: pd.read_parquet(path) for path in settings.feature_tables.rglob("*.parquet")}
        return {name: table.sort_values(list(table.columns[:2]), ignore_index=True) for name, table in tables.items()}

    other = Settings(home=tmp_path)
    start, middle, end = DAY - 48 * HOUR, DAY + 7 * HOUR, DAY + 24 * HOUR
    Project(other, flights).lake.append(contract.source(flights.name).fetch(start, end), start, end)
    for since, until in ((start, middle), (middle, end), (start, middle)):
        features.update(Project(other, flights), since, until)
    rebuilt, expected = content(other), content(three_days)
    assert set(rebuilt) == {"origin_stats", "carrier_stats", "dest_stats", "weather"}
    for view, table in rebuilt.items():
        pd.testing.assert_frame_equal(table, expected[view])


def test_an_older_window_again_brings_no_older_value_online(three_days: Settings, flights: ProjectSpec) -> None:
    end = DAY + 24 * HOUR
    features.materialise(Project(three_days, flights), DAY, end)
    features.materialise(Project(three_days, flights), DAY - 24 * HOUR, DAY)
    request = asked(flights, end - HOUR, end).iloc[-1].to_dict()
    rows = OnlineFeatures(Project(three_days, flights)).read([request], end)
    assert rows.times == [end]
    assert rows.warnings == [[]]


@pytest.mark.parametrize("count", [1, 3])
def test_what_the_store_does_not_know_is_a_warning(three_days: Settings, flights: ProjectSpec, count: int) -> None:
    end = DAY + 24 * HOUR
    features.materialise(Project(three_days, flights), DAY, end)
    known = asked(flights, end - HOUR, end).iloc[-1].to_dict()
    unknown = known | {"carrier": "ZZ", "dest": "XXX"}
    rows = OnlineFeatures(Project(three_days, flights)).read([known, unknown, known][:count][::-1], end)
    assert rows.columns["carrier_id"][-1] == known["carrier"]
    if count == 3:
        assert np.isnan(rows.columns["dest_late_24h"][1])
        assert rows.warnings == [
            [],
            ["carrier_stats: nothing known of carrier ZZ", "dest_stats: nothing known of dest XXX"],
            [],
        ]


def test_values_are_neither_stale_nor_of_the_future(three_days: Settings, flights: ProjectSpec) -> None:
    end = DAY + 24 * HOUR
    features.materialise(Project(three_days, flights), DAY, end)
    request = asked(flights, end - HOUR, end).iloc[-1].to_dict()
    online = OnlineFeatures(Project(three_days, flights))
    late = online.read([request], end + 3 * HOUR)
    assert np.isnan(late.columns["origin_delay_24h"][0])
    assert not np.isnan(late.columns["temp"][0])
    assert late.times == [end]
    assert [warning.partition(":")[0] for warning in late.warnings[0]] == [
        "origin_stats",
        "carrier_stats",
        "dest_stats",
    ]
    early = online.read([request], end - timedelta(microseconds=1))
    assert np.isnan(early.columns["temp"][0])
    assert early.times == [None]
    assert "later than this request" in early.warnings[0][0]
    assert early.columns["dep_minute"] == late.columns["dep_minute"]
