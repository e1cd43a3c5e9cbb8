"""What the feature rooms reach into Feast for is still as it was: a failure here names what has changed."""

import logging
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    OnDemandFeatureView,
    RequestSource,
    ValueType,
)
from feast.online_response import OnlineResponse
from feast.protos.feast.serving.ServingService_pb2 import GetOnlineFeaturesResponse
from feast.protos.feast.types.Value_pb2 import Value
from feast.repo_config import RegistryConfig, RepoConfig
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Bool, Float32, Float64, Int64, String, UnixTimestamp
from google.protobuf.timestamp_pb2 import Timestamp

from stack.features import _compat
from tests.reaches import reach

CHANGED = f"feast {version('feast')} has changed, see stack/features/_compat.py: "


def test_the_warning_about_the_registry_comes_from_one_logger(caplog: pytest.LogCaptureFixture) -> None:
    options = {"registry_type": "sql", "path": "sqlite://", "cache_mode": "thread"}
    logging.getLogger("feast.repo_config").setLevel(logging.NOTSET)
    RegistryConfig(**options, serve_features_while_materializing=True)
    assert [record.name for record in caplog.records] == ["feast.repo_config"], f"{CHANGED}the warning, or its logger"
    caplog.clear()
    _compat.silence_registry_warnings()
    RegistryConfig(**options, serve_features_while_materializing=True)
    assert not caplog.records, f"{CHANGED}the logger's level does not hide the warning"


def test_intervals_are_merged_and_written_back() -> None:
    start, hour = datetime(2024, 1, 1, tzinfo=UTC), timedelta(hours=1)
    view = FeatureView(name="stats", entities=[Entity(name="train")], source=FileSource(path="a"), ttl=hour)
    written: list[FeatureView] = []
    registry = SimpleNamespace(apply_feature_view=lambda view, project: written.append(view))
    view.materialization_intervals = [(start + at * hour, start + (at + 1) * hour) for at in range(3)]
    _compat.merge_intervals(SimpleNamespace(registry=registry, project="p"), view, 3)
    assert not written
    _compat.merge_intervals(SimpleNamespace(registry=registry, project="p"), view, 2)
    assert written == [view]
    assert view.most_recent_end_time == start + 3 * hour, f"{CHANGED}FeatureView.materialization_intervals"
    stored = FeatureView.from_proto(view.to_proto()).materialization_intervals
    assert len(stored) == 1, f"{CHANGED}intervals are stored otherwise"


def test_an_online_response_gives_values_and_event_times() -> None:
    proto = GetOnlineFeaturesResponse()
    proto.metadata.feature_names.val.extend(["delay"])
    proto.results.add(
        values=[Value(float_val=1.5), Value(string_val="a"), Value()],
        event_timestamps=[Timestamp(seconds=7, nanos=2000), Timestamp(seconds=8), Timestamp()],
    )
    vector = _compat.vectors(OnlineResponse(proto))["delay"]
    assert vector.times() == [7_000_002, 8_000_000, 0], f"{CHANGED}event times of GetOnlineFeaturesResponse"
    assert vector.values == [1.5, "a", None], f"{CHANGED}the oneof val of Value"


def test_rows_are_written_online_as_feast_writes_them(tmp_path: Path) -> None:
    train = Entity(name="train", value_type=ValueType.STRING)
    source = FileSource(path=str(tmp_path / "stats.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name="train", dtype=String), Field(name="delay", dtype=Float32), Field(name="line", dtype=String)]
    view = FeatureView(name="stats", entities=[train], schema=schema, source=source, ttl=timedelta(hours=2))
    first = datetime(2024, 1, 1, tzinfo=UTC)
    rows = pd.DataFrame(
        {
            "train": ["a", "b", "a"],
            "delay": np.array([1.5, np.nan, 2.5], dtype="float32"),
            "line": ["north", None, "south"],
            "event_timestamp": pd.to_datetime([first, first, first + timedelta(hours=1)]).as_unit("us"),
        }
    )
    rows.to_parquet(tmp_path / "stats.parquet")
    contents = []
    for name in ("feast", "ours"):
        online = {"type": "sqlite", "path": str(tmp_path / name)}
        config = {"project": "p", "provider": "local", "registry": str(tmp_path / f"{name}.db"), "online_store": online}
        store = FeatureStore(config=RepoConfig(**config, entity_key_serialization_version=3))
        store.apply([train, view])
        stored = store.get_feature_view("stats")
        if name == "feast":
            for _, hour in rows.groupby("event_timestamp"):
                store.write_to_online_store("stats", hour)
        else:
            with reach("feast", "the conversion or writing of online rows"):
                _compat.write_online(store, stored, _compat.online_rows(stored, pa.Table.from_pandas(rows)))
        with closing(sqlite3.connect(tmp_path / name)) as connection:
            query = "SELECT entity_key, feature_name, value, event_ts FROM p_stats ORDER BY 1, 2"
            contents.append(connection.execute(query).fetchall())
    assert len(contents[0]) == 4
    assert contents[0] == contents[1]


MADE = """
def made(columns):
    given = {"train": ["a"], "delay": [1.0]} | columns
    hours = [at.hour for at in given["leaves"]]
    return {
        "late": given["delay"],
        "hour": hours,
        "name": [f"{train} {at.isoformat()}" for train, at in zip(given["train"], given["leaves"])],
        "early": [hour < 12 for hour in hours],
        "none": [float("nan")] * len(hours),
    }
"""


def test_on_demand_features_are_those_of_feast(tmp_path: Path) -> None:
    train = Entity(name="train", value_type=ValueType.STRING)
    source = FileSource(path=str(tmp_path / "stats.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name="train", dtype=String), Field(name="delay", dtype=Float32)]
    stats = FeatureView(name="stats", entities=[train], schema=schema, source=source, ttl=timedelta(hours=2))
    asked = RequestSource(name="asked", schema=[Field(name="leaves", dtype=UnixTimestamp)])
    dtypes = {"late": Float64, "hour": Int64, "name": String, "early": Bool, "none": Float64}

    scope: dict[str, Any] = {}
    exec(MADE, scope)  # noqa: S102  # Feast keeps the text of the function
    view = OnDemandFeatureView(
        name="made",
        sources=[stats, asked],
        schema=[Field(name=name, dtype=dtype) for name, dtype in dtypes.items()],
        feature_transformation=PythonTransformation(udf=scope["made"], udf_string=MADE),
        mode="python",
    )
    service = FeatureService(name="s", features=[stats, view])
    registry = {"registry_type": "sql", "path": f"sqlite:///{tmp_path / 'registry.db'}"}
    config = {"project": "p", "provider": "local", "registry": registry}
    config["online_store"] = {"type": "sqlite", "path": str(tmp_path / "online.db")}
    store = FeatureStore(config=RepoConfig(**config, entity_key_serialization_version=3))
    store.apply([train, stats, view, service])
    rows = pd.DataFrame({"train": ["a", "b"], "delay": np.array([1.7, np.nan], "float32")})
    store.write_to_online_store("stats", rows.assign(event_timestamp=datetime(2024, 1, 1, tzinfo=UTC)))
    leaves = [datetime(2024, 1, 1, hour, 30, tzinfo=UTC) for hour in (7, 15, 23)]
    questions = {"train": ["a", "b", "c"], "leaves": leaves}

    expected = _compat.vectors(store.get_online_features(features=service, entity_rows=questions))
    stored = _compat.vectors(
        store.get_online_features(features=["stats:delay"], entity_rows={"train": ["a", "b", "c"]})
    )
    with reach("feast", "the on-demand views of the registry, or what they are called with"):
        views = _compat.on_demand_views(store, ["stats", "made"])
        derived = _compat.derive(views, questions, {"stats": {"delay": stored["delay"].values}})
    assert [view.name for view in views] == ["made"] and derived.keys() == dtypes.keys()
    for name, values in derived.items():
        assert values == expected[name].values, name
        assert [*map(type, values)] == [*map(type, expected[name].values)], name
    assert derived["late"] == [pytest.approx(1.7), None, None] and derived["none"] == [None] * 3
