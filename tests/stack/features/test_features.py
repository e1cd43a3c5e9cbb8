"""Feast under the stack: which definitions are applied, and what a value's age means online and offline."""

import logging
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import projects
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features import feature_tables, features
from stack.features.online import OnlineFeatures
from stack.project import Project
from stack.specification import specs
from stack.specification.specs import ProjectSpec

TICK = datetime(2013, 1, 1, 10, tzinfo=UTC)
TTL = timedelta(hours=2)
MOMENT = timedelta(microseconds=1)
SPEC = {
    "title": "Is the train late?",
    "label": "late",
    "clock": {"kind": "replay", "start": TICK},
    "tables": {"trains": {"key": ["train"]}},
    "request": {
        "train": {"type": "string", "description": "Number", "example": "ICE 1"},
        "leaves": {"type": "datetime", "description": "Departure", "example": "2013-01-01T12:00:00+00:00"},
    },
}
DEFINITIONS = """
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, String, UnixTimestamp
from stack.core.settings import settings

train = Entity(name="train", value_type=ValueType.STRING)
stats = FeatureView(
    name="{name}_stats",
    entities=[train],
    ttl=timedelta(hours=2),
    schema=[Field(name="train", dtype=String), Field(name="delay", dtype=Float32)],
    source=FileSource(
        name="{name}_stats",
        path=str(settings().feature_tables / "{name}" / "{name}_stats"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    ),
)
departure = RequestSource(name="{name}_departure", schema=[Field(name="leaves", dtype=UnixTimestamp)])

@on_demand_feature_view(
    sources=[departure],
    schema=[Field(name="hour", dtype=Float64), Field(name="train_id", dtype=String)],
    mode="python",
)
def {name}_on_request(columns):
    ids = columns.get("train", ["ICE 1"])
    return {{"hour": [float(at.hour) for at in columns["leaves"]], "train_id": list(ids)}}

service = FeatureService(name="{name}_v1", features=[stats, {name}_on_request])
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with no project; its feature_repo has the real feature_store.yaml."""
    repository = tmp_path / "feature_repo"
    repository.mkdir()
    monkeypatch.setattr(Settings, "definitions", repository)
    monkeypatch.setattr(Settings, "projects", tmp_path / "projects")
    monkeypatch.setattr(projects, "__path__", [str(tmp_path / "projects")])
    return tmp_path


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def add(checkout: Path, name: str, definitions: str = DEFINITIONS, **changes: Any) -> ProjectSpec:
    """Put a project and its definitions into the checkout."""
    columns = {"delay": "number", "hour": "number", "train_id": "category"}
    spec = SPEC | {"name": name, "features": {"service": f"{name}_v1", "entities": ["train"], "columns": columns}}
    folder = checkout / "projects" / name
    folder.mkdir(parents=True)
    (folder / "project.yaml").write_text(yaml.safe_dump(spec | changes))
    if definitions:
        (checkout / "feature_repo" / f"{name}.py").write_text(definitions.format(name=name))
    return specs.load(name)


def fill(settings: Settings, spec: ProjectSpec, *rows: tuple[str, datetime, float | None]) -> None:
    frame = pd.DataFrame(rows, columns=["train", "event_timestamp", "delay"]).astype({"delay": "float32"})
    folder = settings.feature_tables / spec.name / f"{spec.name}_stats"
    feature_tables.replace(folder, frame, TICK - timedelta(days=1), TICK + timedelta(days=1))


def question(train: str, at: datetime) -> dict[str, Any]:
    return {"train": train, "leaves": at + timedelta(hours=2)}


def offline(settings: Settings, spec: ProjectSpec, *asked: tuple[str, datetime]) -> list[float]:
    events = pd.DataFrame([question(train, at) | {"event_timestamp": at} for train, at in asked])
    return [float(value) for value in features.training_set(Project(settings, spec), events)["delay"]]


def online(settings: Settings, spec: ProjectSpec, *asked: tuple[str, datetime]) -> list[float]:
    store = OnlineFeatures(Project(settings, spec))
    return [store.read([question(train, at)], at).columns["delay"][0] for train, at in asked]


def test_a_value_lives_from_its_tick_to_the_end_of_its_ttl(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    assert features.apply(settings) == {}
    fill(settings, spec, ("ICE 1", TICK, 7.0), ("ICE 2", TICK, None))
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK + timedelta(hours=3))
    asked = [("ICE 1", at) for at in (TICK - MOMENT, TICK, TICK + TTL, TICK + TTL + MOMENT)]
    asked += [("ICE 2", TICK), ("ICE 3", TICK)]
    expected = ["nan", "7.0", "7.0", "nan", "nan", "nan"]
    assert [str(value) for value in offline(settings, spec, *asked)] == expected
    assert [str(value) for value in online(settings, spec, *asked)] == expected


def test_a_project_that_comes_while_others_are_served_is_read_at_once(checkout: Path, settings: Settings) -> None:
    first = add(checkout, "trains")
    features.apply(settings)
    served = OnlineFeatures(Project(settings, first))
    later = add(checkout, "buses")
    features.apply(settings)
    fill(settings, later, ("ICE 1", TICK, 7.0))
    features.materialise(Project(settings, later), TICK - timedelta(hours=1), TICK)
    assert online(settings, later, ("ICE 1", TICK)) == [7.0]
    assert served.read([question("ICE 1", TICK)], TICK).columns["hour"] == [12.0]


def test_definitions_of_a_removed_project_leave_the_registry(checkout: Path, settings: Settings) -> None:
    add(checkout, "trains")
    add(checkout, "buses")
    features.apply(settings)
    assert registered(settings) == {"trains", "buses"}
    shutil.rmtree(checkout / "projects" / "buses")
    module = checkout / "feature_repo" / "buses.py"
    module.write_text("import no_such_module")
    features.apply(settings)
    assert registered(settings) == {"trains", "buses"}, "who knows what a broken module defines"
    module.unlink()
    features.apply(settings)
    assert registered(settings) == {"trains"}


def registered(settings: Settings) -> set[str]:
    """Projects of which the registry has definitions: all five of each."""
    store = features.store(settings)
    views = [*store.list_feature_views(), *store.list_on_demand_feature_views()]
    names = [item.name for item in (*views, *store.list_feature_services(), *store.list_data_sources())]
    projects = {name.partition("_")[0] for name in names}
    assert len(names) == 5 * len(projects), names
    return projects


def test_the_newest_of_several_ticks_goes_online(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    features.apply(settings)
    fill(settings, spec, *[("ICE 1", TICK + timedelta(hours=hour), float(hour)) for hour in (2, 0, 1)])
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK + timedelta(hours=1))
    assert online(settings, spec, ("ICE 1", TICK + timedelta(hours=1))) == [1.0]
    features.materialise(Project(settings, spec), TICK + timedelta(hours=1), TICK + timedelta(hours=2))
    assert online(settings, spec, ("ICE 1", TICK + timedelta(hours=2))) == [2.0]


def test_many_rows_come_back_in_their_order(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    features.apply(settings)
    fill(settings, spec, *[(f"ICE {number}", TICK, float(number)) for number in range(50)])
    asked = [(f"ICE {number}", TICK) for number in (49, 3, 3, 17, 0)]
    assert offline(settings, spec, *asked) == [49.0, 3.0, 3.0, 17.0, 0.0]
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK)
    rows = OnlineFeatures(Project(settings, spec)).read([question(train, at) for train, at in asked], TICK)
    assert rows.columns["delay"] == [49.0, 3.0, 3.0, 17.0, 0.0]
    assert rows.columns["train_id"] == [train for train, _ in asked]
    assert rows.columns["hour"] == [12.0] * 5
    assert rows.times == [TICK] * 5


def test_applying_twice_changes_nothing(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    features.apply(settings)
    fill(settings, spec, ("ICE 1", TICK, 7.0))
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK)
    features.apply(settings)
    assert online(settings, spec, ("ICE 1", TICK)) == [7.0]
    assert [view.most_recent_end_time for view in features.views(features.store(settings), spec)] == [TICK]


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ("", "no such file"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("def", "SyntaxError"),
        (DEFINITIONS.replace("_v1", "_v2"), "feature services: broken_v2"),
        (DEFINITIONS.replace('"delay"', '"wait"'), "missing: delay; not in project.yaml: wait"),
        (DEFINITIONS.replace("{name}_stats", "alpha_stats"), "alpha_stats, a name that alpha uses"),
        (DEFINITIONS.replace("Float64", "String"), "hour"),
    ],
)
def test_a_broken_project_is_left_out_and_the_others_are_applied(
    checkout: Path, settings: Settings, caplog: pytest.LogCaptureFixture, definitions: str, message: str
) -> None:
    for name in ("alpha", "omega"):
        add(checkout, name)
    broken = add(checkout, "broken", definitions)
    with caplog.at_level(logging.WARNING):
        left_out = features.apply(settings)
    assert list(left_out) == ["broken"]
    assert message in str(left_out["broken"])
    assert "features of broken are left out" in caplog.text
    store = features.store(settings)
    assert {service.name for service in store.list_feature_services()} == {"alpha_v1", "omega_v1"}
    with pytest.raises(StackError, match="no such service"):
        OnlineFeatures(Project(settings, broken))


def test_training_without_any_feature_table_says_what_to_do(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    features.apply(settings)
    with pytest.raises(StackError, match="make ingest PROJECT=trains"):
        offline(settings, spec, ("ICE 1", TICK))
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK)


def test_readers_go_on_while_somebody_writes(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains")
    features.apply(settings)
    fill(settings, spec, ("ICE 1", TICK, 7.0))
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK)
    writer = sqlite3.connect(settings.online_store, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    writer.execute("DELETE FROM stack_trains_stats")
    assert online(settings, spec, ("ICE 1", TICK)) == [7.0]
    writer.execute("COMMIT")
    writer.close()
    assert str(online(settings, spec, ("ICE 1", TICK))[0]) == "nan"


def test_the_registry_stays_small_however_often_is_materialised(
    checkout: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "MAX_INTERVALS", 3)
    spec = add(checkout, "trains")
    features.apply(settings)
    fill(settings, spec, ("ICE 1", TICK, 7.0))
    for hour in range(6):
        features.materialise(Project(settings, spec), TICK + timedelta(hours=hour - 1), TICK + timedelta(hours=hour))
    (view,) = features.views(features.store(settings), spec)
    assert len(view.materialization_intervals) <= 3
    assert view.most_recent_end_time == TICK + timedelta(hours=5)


@pytest.mark.parametrize(("store", "kind"), [("redis:6379,password=se'cret", "redis"), ("/data/online.db", "sqlite")])
def test_one_file_configures_both_online_stores(checkout: Path, tmp_path: Path, store: str, kind: str) -> None:
    settings = Settings(home=tmp_path, online_store=store)
    features.prepare(settings.model_copy(update={"online_store": str(tmp_path / "online.db")}))
    config = features.store(settings).config.online_store
    assert config.type == kind
    assert store in (getattr(config, "connection_string", ""), getattr(config, "path", ""))


def test_a_value_without_a_ttl_lives_for_ever(checkout: Path, settings: Settings) -> None:
    spec = add(checkout, "trains", DEFINITIONS.replace("timedelta(hours=2)", "timedelta(0)"))
    features.apply(settings)
    fill(settings, spec, ("ICE 1", TICK, 7.0))
    features.materialise(Project(settings, spec), TICK - timedelta(hours=1), TICK)
    asked = [("ICE 1", TICK - MOMENT), ("ICE 1", TICK + timedelta(days=300))]
    assert [str(value) for value in offline(settings, spec, *asked)] == ["nan", "7.0"]
    assert [str(value) for value in online(settings, spec, *asked)] == ["nan", "7.0"]
