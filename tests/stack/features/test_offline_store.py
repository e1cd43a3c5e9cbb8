"""The ASOF store gives what Feast's own DuckDB store gives, to the last cell."""

import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.repo_config import RepoConfig
from feast.types import Float32, Float64, Int64, String, UnixTimestamp

from stack.features import on_demand
from stack.features.offline_store import AsofJob

START, HOUR = pd.Timestamp("2024-03-01", tz="UTC"), pd.Timedelta(hours=1)
TTL = timedelta(hours=3)
CITIES, LINES = ("Bath", "Cork", "L'Aquila", "Ulm"), (1, 2, 3)
STORED = ["stats:level", "stats:mark", "stats:whole", "pairs:share", "corrected:count", "mapped:wide", "world:pressure"]


class Stores(NamedTuple):
    """Two feature stores over one registry."""

    ours: FeatureStore
    feasts: FeatureStore
    tables: Path

    def both(self, events: Any, features: Any, full: bool = False, **options: Any) -> list[pa.Table]:
        """Retrieve by both, in the order of the column `row`."""
        jobs = [
            store.get_historical_features(given, features, full, **options)
            for store, given in zip(self[:2], events if isinstance(events, tuple) else (events, events), strict=True)
        ]
        assert isinstance(jobs[0], AsofJob) or options
        return [job.to_arrow().sort_by("row") for job in jobs]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    folder = tmp_path_factory.mktemp("stores")
    write(folder, 0)
    ours, feasts = (
        FeatureStore(
            config=RepoConfig(
                project="test",
                provider="local",
                registry=str(folder / "registry.db"),
                offline_store={"type": kind},
                online_store={"type": "sqlite", "path": str(folder / "online.db")},
                entity_key_serialization_version=3,
                repo_path=folder,
            )
        )
        for kind in ("stack.features.offline_store.AsofOfflineStore", "duckdb")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.apply(definitions(folder))
    return Stores(ours, feasts, folder)


def definitions(folder: Path) -> list[Any]:
    city = Entity(name="city", value_type=ValueType.STRING)
    line = Entity(name="line", value_type=ValueType.INT64)

    def view(name: str, entities: list[Entity], ttl: timedelta, *fields: Field, path: str = "", **source: Any) -> Any:
        types = {"city": String, "line": Int64}
        keys = [Field(name=entity.name, dtype=types[entity.name]) for entity in entities]
        place = FileSource(
            name=f"{name}_source",
            path=str(folder / (path or name)),
            file_format=ParquetFormat(),
            **{"timestamp_field": "event_timestamp"} | source,
        )
        return FeatureView(name=name, entities=entities, ttl=ttl, schema=[*keys, *fields], source=place)

    fields = [Field(name="level", dtype=Float32), Field(name="mark", dtype=String), Field(name="whole", dtype=Int64)]
    stats = view("stats", [city], TTL, *fields)
    views = [
        stats,
        view("pairs", [city, line], timedelta(0), Field(name="share", dtype=Float64)),
        view("corrected", [city], TTL, Field(name="count", dtype=Int64), created_timestamp_column="created"),
        view(
            *("mapped", [city], TTL, Field(name="wide", dtype=Float64)),
            path="mapped.parquet",
            field_mapping={"stadt": "city", "breit": "wide", "um": "at"},
            timestamp_field="at",
        ),
        view("world", [], TTL, Field(name="pressure", dtype=Float64)),
    ]
    asked = RequestSource(
        name="asked", schema=[Field(name="leaves", dtype=UnixTimestamp), Field(name="seats", dtype=Int64)]
    )

    @on_demand_feature_view(
        sources=[asked, stats],
        schema=[Field(name="hour", dtype=Int64), Field(name="high", dtype=Float64)],
        mode="python",
    )
    def in_python(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        levels = [None if level is None else 2.0 * level for level in columns["level"]]
        return {"hour": [at and at.hour for at in columns["leaves"]], "high": levels}

    @on_demand_feature_view(sources=[asked, stats], schema=[Field(name="rest", dtype=Float64)], mode="pandas")
    def in_pandas(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"rest": frame["seats"] - frame["level"]})

    @on_demand_feature_view(sources=[asked], schema=[Field(name="sum", dtype=Float64)], mode="python")
    def undeclared(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        # Feast tries a view out with its declared inputs alone.
        shares = columns["share"] if len(columns) > 2 else [0.5]
        return {"sum": [None if share is None else share + 1 for share in shares]}

    twice = [
        stats.with_name(name).with_join_key_map({"city": key}) for name, key in (("near", "city"), ("far", "to_city"))
    ]
    services = [
        FeatureService(name="twice", features=twice),
        FeatureService(name="all", features=[*views, in_python, in_pandas]),
    ]
    return [city, line, *views, in_python, in_pandas, undeclared, *services]


def write(folder: Path, seed: int) -> None:
    """Write random tables, on whole hours; none has two rows of the same keys and time, unless they are dated."""
    random = np.random.default_rng(seed)

    def table(rows: int, *keys: str, time: str = "event_timestamp", **columns: Callable[[int], Any]) -> pd.DataFrame:
        values = {"city": CITIES, "stadt": CITIES, "line": LINES}
        frame = pd.DataFrame({key: random.choice(values[key], rows) for key in keys})
        frame[time] = hours(random.integers(-6, 40, rows))
        frame = frame.assign(**{name: column(rows) for name, column in columns.items()})
        return frame if "created" in columns else frame.drop_duplicates([*keys, time])

    def floats(rows: int) -> Any:
        return pd.Series(random.normal(size=rows)).mask(random.random(rows) < 0.2)

    stats = table(
        *(90, "city"),
        level=lambda rows: floats(rows).astype("float32"),
        mark=lambda rows: random.choice(["red", "green", None], rows),
        whole=lambda rows: pd.array(random.integers(0, 9, rows)),
    )
    stats["event_timestamp"] = stats["event_timestamp"].dt.tz_localize(None)
    corrected = table(
        *(160, "city"),
        count=lambda rows: random.integers(0, 99, rows),
        created=lambda rows: hours(random.permutation(rows) / 4),
    )
    pairs = table(150, "city", "line", share=floats)
    for name, frame, parts in (
        *(("stats", stats, 5), ("pairs", pairs, 3), ("corrected", corrected, 2)),
        ("world", table(40, pressure=floats), 1),
    ):
        (folder / name).mkdir(exist_ok=True)
        for part in range(parts):
            frame.iloc[part::parts].to_parquet(folder / name / f"{part}.parquet", index=False)
    table(90, "stadt", time="um", breit=floats).to_parquet(folder / "mapped.parquet", index=False)


def hours(after: Any) -> pd.DatetimeIndex:
    return START + pd.to_timedelta(after, unit="h")


def events(seed: int = 0, rows: int = 120) -> pd.DataFrame:
    """Random events: half of them on the hour, as the rows of the tables; some keys are unknown, or null."""
    random = np.random.default_rng([seed, 1])
    after = random.choice([0, 1, 1_800_000_000], rows, p=[0.5, 0.2, 0.3])
    times = hours(random.integers(-8, 44, rows)) + pd.to_timedelta(after, unit="us")
    return pd.DataFrame(
        {
            "row": np.arange(rows),
            "city": random.choice([*CITIES, "Rome", None], rows),
            "to_city": random.choice([*CITIES, None], rows),
            "line": pd.array(random.choice([*LINES, 4], rows)),
            "event_timestamp": times.as_unit("us"),
            "leaves": (times + HOUR).as_unit("us"),
            "seats": random.integers(0, 300, rows),
        }
    )


def assert_equal(tables: list[pa.Table]) -> None:
    ours, feasts = tables
    assert ours.schema.equals(feasts.schema), (ours.schema, feasts.schema)
    pd.testing.assert_frame_equal(ours.to_pandas(), feasts.to_pandas(), check_exact=True)


KINDS = [
    *(["stats:level", "stats:mark"], ["pairs:share"], ["corrected:count"], ["mapped:wide"], ["world:pressure"]),
    *(STORED, ["in_python:hour"], ["in_python:high", "stats:whole"], ["in_pandas:rest"]),
]


@pytest.mark.parametrize(
    ("features", "full"),
    # The function of `undeclared` asks for a short name.
    [*((features, full) for features in KINDS for full in (False, True)), (["undeclared:sum", "pairs:share"], False)],
    ids=lambda value: "+".join(value) if isinstance(value, list) and len(value) < 3 else None,
)
def test_every_kind_of_view(stores: Stores, features: list[str], full: bool) -> None:
    tables = stores.both(events(), features, full)
    assert_equal(tables)
    last = tables[0].column(-1)
    assert 0 < last.null_count < len(last) or features == ["in_python:hour"]


@pytest.mark.parametrize("service", ["twice", "all"])
def test_feature_services(stores: Stores, service: str) -> None:
    assert_equal(stores.both(events(), stores.ours.get_feature_service(service), full=True))


@pytest.mark.parametrize("seed", range(1, 7))
def test_random_tables(stores: Stores, seed: int) -> None:
    write(stores.tables, seed)
    try:
        assert_equal(stores.both(events(seed, 400), stores.ours.get_feature_service("all")))
    finally:
        write(stores.tables, 0)


def naive(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_localize(None))


FRAMES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "naive": naive,
    "another zone": lambda frame: frame.assign(event_timestamp=frame["event_timestamp"].dt.tz_convert("Asia/Tokyo")),
    "nanoseconds": lambda frame: frame.assign(event_timestamp=frame["event_timestamp"].dt.as_unit("ns")),
    "text": lambda frame: frame.assign(event_timestamp=naive(frame)["event_timestamp"].dt.strftime("%Y-%m-%d %H:%M")),
    "objects": lambda frame: frame.assign(event_timestamp=frame["event_timestamp"].astype(object)),
    "another name": lambda frame: frame.drop(columns="leaves").rename(columns={"event_timestamp": "asked_at"}),
    "no time": lambda frame: frame.assign(event_timestamp=frame["event_timestamp"].mask(frame["row"] % 3 == 0)),
    "null keys": lambda frame: frame.assign(city=None),
    "duplicates": lambda frame: pd.concat([frame, frame.assign(row=frame["row"] + len(frame))]),
    "category": lambda frame: frame.assign(city=frame["city"].astype("category"), line=frame["line"].astype("Int64")),
    "an index": lambda frame: frame.set_index(frame["row"] + 7),
    "none": lambda frame: frame.iloc[:0],
    "one": lambda frame: frame.iloc[3:4],
    "long ago": lambda frame: frame.assign(event_timestamp=frame["event_timestamp"] - 60 * 365 * 24 * HOUR),
}


@pytest.mark.parametrize("frame", list(FRAMES))
def test_every_kind_of_event(stores: Stores, frame: str) -> None:
    assert_equal(stores.both(FRAMES[frame](events()), STORED))


def test_rows_are_in_the_order_of_the_events(stores: Stores) -> None:
    shuffled = events().sample(frac=1, random_state=3)
    job = stores.ours.get_historical_features(shuffled, [*STORED, "in_python:high"])
    assert job.to_df()["row"].tolist() == shuffled["row"].tolist()
    assert set(job.metadata.keys) == set(shuffled) - {"event_timestamp"}


def test_events_are_a_query_of_duckdb(stores: Stores, tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    naive(events()).to_parquet(path)
    escaped = str(path).replace("'", "''")
    assert_equal(stores.both((f"SELECT * FROM '{escaped}'", naive(events())), [*STORED, "in_python:hour"]))


def test_a_bound_on_created_timestamps_is_for_feast(stores: Stores) -> None:
    features = ["corrected:count", "stats:level"]
    bounded = stores.both(events(), features, filter_by_created_timestamp=True)
    assert_equal(bounded)
    assert not bounded[0].equals(stores.both(events(), features)[0])


def test_a_feature_named_as_a_column_of_the_events_is_refused_by_feast(stores: Stores) -> None:
    with pytest.raises(Exception, match="Duplicate column name 'level'"):
        stores.ours.get_historical_features(events().assign(level=1), ["stats:level"])


def test_a_data_set_is_saved(stores: Stores, tmp_path: Path) -> None:
    job = stores.ours.get_historical_features(events(), STORED)
    job.persist(SavedDatasetFileStorage(path=str(tmp_path / "saved.parquet")))
    saved = pd.read_parquet(tmp_path / "saved.parquet").sort_values("row", ignore_index=True)
    pd.testing.assert_frame_equal(saved, job.to_df(), check_exact=True)


def test_python_functions_see_what_they_declare_in_chunks(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_demand, "CHUNK", 50)
    assert_equal(stores.both(events(), ["in_python:hour", "in_python:high", "pairs:share"]))
    view = stores.ours.get_on_demand_feature_view("in_python")
    calls: list[tuple[int, set[str]]] = []

    def record(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
        calls.append((len(columns["level"]), set(columns)))
        return {"hour": [1] * len(columns["level"]), "high": [None] * len(columns["level"])}

    monkeypatch.setattr(view.feature_transformation, "udf", record)
    table = pa.table({"row": range(120), "level": [1.0] * 120, "share": [2.0] * 120})
    assert on_demand.Declared(view, ["row"]).transform_arrow(table).num_rows == 120
    assert calls == [(rows, {"row", "level", "stats__level"}) for rows in (50, 50, 20)]
