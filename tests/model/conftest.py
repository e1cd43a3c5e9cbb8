"""The flights of January to March 2013 with the features of their own instants, joined by pandas."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from projects.flights import features, source
from stack.specification import specs
from stack.specification.specs import ProjectSpec
from stack.training import candidates

SINCE, UNTIL = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 4, 3, tzinfo=UTC)
HOURLY, PUBLISHED = timedelta(hours=2), timedelta(hours=3)


@pytest.fixture(scope="session")
def spec() -> ProjectSpec:
    return specs.load("flights")


@pytest.fixture(scope="session")
def flights(spec: ProjectSpec) -> DataFrame:
    """Labelled events with their feature columns and the local day of departure, in the order of time."""
    tables = source.fetch(SINCE, UNTIL)
    rows = features.events(tables).sort_values(["event_timestamp", "event_id"], ignore_index=True)
    for view, table in features.build(tables, SINCE, UNTIL).items():
        entity, ttl = ("origin", PUBLISHED) if view == "weather" else (view.removesuffix("_stats"), HOURLY)
        table = table.sort_values("event_timestamp")
        rows = pd.merge_asof(rows, table, on="event_timestamp", by=entity, tolerance=ttl)
    rows = rows.assign(**features.on_request({name: list(rows[name]) for name in spec.request}))
    local = rows["sched_dep"].dt.tz_convert(source.HOME_ZONE).dt.tz_localize(None)
    return rows.astype(dict.fromkeys(spec.column_types("number"), "float32")).assign(day=local.dt.floor("D"))


@pytest.fixture(scope="session")
def between(flights: DataFrame) -> Callable[[str, str], DataFrame]:
    """Flights of the local days from the first to before the last."""
    return lambda first, last: flights[(flights["day"] >= first) & (flights["day"] < last)]


@pytest.fixture(scope="session")
def fit(spec: ProjectSpec) -> Callable[..., Pipeline]:
    """Fit a candidate at the centre of its search."""

    def fitted(rows: DataFrame, name: str = "averaged_boosting") -> Pipeline:
        return candidates.fit(spec, name, dict(candidates.available(spec, len(rows))[name].initial_params), rows)

    return fitted


@pytest.fixture(scope="session")
def first_model(fit: Callable[..., Pipeline], between: Callable[[str, str], DataFrame]) -> Pipeline:
    """Fitted on January and February."""
    return fit(between("2013-01-01", "2013-03-01"))
