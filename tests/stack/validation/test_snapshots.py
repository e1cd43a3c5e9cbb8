"""A project without time and without feature views: what is new in its file, and missing values on both ways."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import projects
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.features import datasets, features
from stack.features.online import OnlineFeatures
from stack.lake import lake
from stack.project import Project
from stack.specification import specs
from stack.specification.specs import ProjectSpec
from stack.validation import batches, validation

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY = (datetime(2024, 5, day, tzinfo=UTC) for day in (6, 7, 8))
SPEC = {
    "name": "shop",
    "title": "Will they buy?",
    "label": "bought",
    "classes": ["no", "yes"],
    "tables": {"customers": {"key": ["id"], "snapshot": True}},
    "request": {
        "age": {"type": "integer", "nullable": True, "description": "Age, years", "example": 40},
        "income": {"type": "number", "nullable": True, "description": "Income", "example": 1000.0},
        "town": {"type": "string", "nullable": True, "description": "Town", "example": "Bath"},
        "member": {"type": "boolean", "nullable": True, "description": "Member of the club", "example": True},
        "since": {"type": "datetime", "nullable": True, "description": "Customer since", "example": None},
    },
    "features": {
        "service": "shop_v1",
        "columns": {
            "age": "number",
            "income": "number",
            "year": "number",
            "home": "category",
            "decade": "category",
            "club": "category",
        },
    },
}
SOURCE = """
from pathlib import Path

import pandas as pd

def fetch(since, until):
    return {"customers": pd.read_csv(Path(__file__).with_name("customers.csv"), parse_dates=["since"])}
"""
FEATURES = """
from datetime import timedelta

LOOKBACK = timedelta(0)
FIELDS = ["age", "income", "town", "member", "since"]

def build(tables, since, until):
    return {}

def events(tables):
    rows = tables["customers"]
    at = rows["available_at"]
    return rows[[*FIELDS, "bought"]].assign(
        event_id=rows["id"].astype(str), event_timestamp=at, label_available_at=at
    )

def on_request(request):
    return {
        "age": [None if age is None else float(age) for age in request["age"]],
        "income": list(request["income"]),
        "year": [None if at is None else float(at.year) for at in request["since"]],
        "home": list(request["town"]),
        "decade": [None if age is None else str(age // 10) for age in request["age"]],
        "club": [None if member is None else str(member) for member in request["member"]],
    }
"""
CHECKS = """
from datetime import timedelta

HISTORY = timedelta(days=1)
COLUMNS = {"customers": ["age", "bought"]}

def prepare(tables, history, since, until):
    return dict(tables)

def suites():
    return {}
"""
DEFINITIONS = """
from feast import FeatureService, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

customer = RequestSource(
    name="shop_customer",
    schema=[
        Field(name="age", dtype=Int64),
        Field(name="income", dtype=Float64),
        Field(name="town", dtype=String),
        Field(name="member", dtype=Bool),
        Field(name="since", dtype=UnixTimestamp),
    ],
)

@on_demand_feature_view(
    sources=[customer],
    schema=[Field(name=name, dtype=Float64) for name in ("age", "income", "year")]
    + [Field(name=name, dtype=String) for name in ("home", "decade", "club")],
    mode="python",
)
def shop_on_request(columns):
    from projects.shop.features import on_request

    return on_request(columns)

shop_v1 = FeatureService(name="shop_v1", features=[shop_on_request])
"""
ROWS = [
    "1,41,1000.5,Bath,True,2020-02-03T00:00:00Z,yes",
    "2,,,,,,no",
    "3,37,2000,York,False,,yes",
]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectSpec:
    """A project in a checkout of its own, with three customers in its file."""
    repository, folder = tmp_path / "feature_repo", tmp_path / "projects" / "shop"
    repository.mkdir()
    folder.mkdir(parents=True)
    (repository / "shop.py").write_text(DEFINITIONS)
    (folder / "project.yaml").write_text(yaml.safe_dump(SPEC))
    for name, text in (("source", SOURCE), ("features", FEATURES), ("checks", CHECKS)):
        (folder / f"{name}.py").write_text(text)
    deliver(folder, *ROWS)
    monkeypatch.setattr(Settings, "definitions", repository)
    monkeypatch.setattr(Settings, "projects", tmp_path / "projects")
    monkeypatch.setattr(projects, "__path__", [str(tmp_path / "projects")])
    for noun in ("", ".source", ".features", ".checks"):
        monkeypatch.delitem(sys.modules, f"projects.shop{noun}", raising=False)
    return specs.load("shop")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def deliver(folder: Path, *rows: str) -> None:
    (folder / "customers.csv").write_text("\n".join(["id,age,income,town,member,since,bought", *rows, ""]))


def ingest(settings: Settings, spec: ProjectSpec, since: datetime, until: datetime) -> tuple[list[Any], list[str]]:
    """Ingest as the flow does; give the ids of the batch, and the warnings."""
    tables = batches.fetch(Project(settings, spec), since, until)
    if batches.unchanged(spec, tables):
        return [], []
    past = validation.history(Project(settings, spec), since)
    verdict = validation.validate(Project(settings, spec), tables, past, since, until)
    assert verdict.accepted, verdict.failures
    Project(settings, spec).lake.append(verdict.tables, since, until)
    features.update(Project(settings, spec), since, until)
    features.materialise(Project(settings, spec), since, until)
    return list(tables["customers"]["id"]), verdict.warnings


def test_a_file_gives_only_what_is_new_in_it(shop: ProjectSpec, settings: Settings) -> None:
    features.apply(settings)
    assert ingest(settings, shop, EPOCH, MONDAY) == ([1, 2, 3], [])
    version = lake.newest_revision(settings)
    assert ingest(settings, shop, MONDAY, TUESDAY) == ([], [])
    assert lake.newest_revision(settings) == version
    assert datasets.arrived(Project(settings, shop), MONDAY, TUESDAY).empty
    assert datasets.labelled(Project(settings, shop), EPOCH).empty

    deliver(shop.folder, *ROWS[:2], "3,38,2000,York,False,,yes", "4,50,100,Bath,True,,no")
    ids, warnings = ingest(settings, shop, MONDAY, TUESDAY)
    assert ids == [3, 4]
    assert len(warnings) == 1 and "1 of 2 wrong (3)" in warnings[0] and "other values for known rows" in warnings[0]
    assert ingest(settings, shop, MONDAY, TUESDAY)[0] == [3, 4]
    assert ingest(settings, shop, TUESDAY, WEDNESDAY) == ([], [])

    at = {until: Project(settings, shop).lake.read(until=until)["customers"] for until in (MONDAY, TUESDAY)}
    assert at[MONDAY].set_index("id")["age"].to_dict()[3] == 37
    assert at[TUESDAY].set_index("id")["age"].to_dict()[3] == 38
    assert len(at[TUESDAY]) == 4
    assert set(Project(settings, shop).lake.recent(MONDAY, TUESDAY)["customers"]["id"]) == {1, 2, 3, 4}


def test_how_many_rows_came_and_changed_is_told(shop: ProjectSpec, settings: Settings) -> None:
    features.apply(settings)
    ingest(settings, shop, EPOCH, MONDAY)
    deliver(shop.folder, *ROWS[:2], "3,38,2000,York,False,,yes", "4,50,100,Bath,True,,no")
    result = batches.examine(Project(settings, shop), MONDAY, TUESDAY)
    assert batches.tally(result) == "2 rows came, 1 of them known ones that changed; 0 refused"


@pytest.mark.parametrize(
    "read",
    [
        'rows[["income", "town"]]',
        'rows["income"]',
        "rows.income",
        'rows.assign(income=rows["income"] * 2)',
        'pd.read_csv(FILE, usecols=["town", "income"])',
    ],
)
def test_a_column_that_has_gone_is_told_by_name(shop: ProjectSpec, settings: Settings, read: str) -> None:
    file = shop.folder / "customers.csv"
    lines = ["import pandas as pd", f"FILE = {str(file)!r}", "def fetch(since, until):", "    rows = pd.read_csv(FILE)"]
    (shop.folder / "source.py").write_text("\n".join([*lines, f'    return {{"customers": {read}}}', ""]))
    file.write_text("id,age,town\n1,41,Bath\n")
    with pytest.raises(StackError, match="no column income") as raised:
        batches.fetch(Project(settings, shop), EPOCH, MONDAY)
    assert str(file) in str(raised.value) and "source.py, line 5" in str(raised.value)
    assert "there are id, age, town" in str(raised.value) or "usecols" in read


def test_another_error_of_a_source_stays_what_it_is(shop: ProjectSpec, settings: Settings) -> None:
    (shop.folder / "source.py").write_text("def fetch(since, until):\n    return {}['token']\n")
    with pytest.raises(KeyError, match="token"):
        batches.fetch(Project(settings, shop), EPOCH, MONDAY)


def test_what_is_missing_is_missing_online_and_offline(shop: ProjectSpec, settings: Settings) -> None:
    assert features.apply(settings) == {}
    ingest(settings, shop, EPOCH, MONDAY)
    offline = datasets.labelled(Project(settings, shop), MONDAY).sort_values("event_id")
    assert offline["bought"].tolist() == [1.0, 0.0, 1.0]
    assert offline["decade"].tolist() == ["4", None, "3"]

    events = datasets.events(Project(settings, shop), MONDAY).sort_values("event_id")
    asked = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in events[list(shop.request)].to_dict("records")
    ]
    for row in asked:
        row["age"] = None if row["age"] is None else int(row["age"])
    for order in (asked, asked[::-1], *[[event] for event in asked]):
        online = OnlineFeatures(Project(settings, shop)).read(order, MONDAY)
        assert online.times == [None] * len(order)
        for column in shop.features.columns:
            wanted = [offline[column].iloc[asked.index(event)] for event in order]
            assert [none(value) for value in online.columns[column]] == [none(value) for value in wanted], column


def none(value: Any) -> Any:
    return None if pd.isna(value) else value


def test_a_column_that_turns_into_text_is_refused_before_the_lake_holds_it(
    shop: ProjectSpec, settings: Settings
) -> None:
    features.apply(settings)
    ingest(settings, shop, EPOCH, MONDAY)
    deliver(shop.folder, *ROWS, "4,50,much,Bath,True,,no")
    with pytest.raises(StackError, match="table customers, column income(?s:.*)expected *double"):
        ingest(settings, shop, MONDAY, TUESDAY)
    assert len(Project(settings, shop).lake.read()["customers"]) == 3


def test_an_unknown_outcome_is_named(shop: ProjectSpec, settings: Settings) -> None:
    deliver(shop.folder, *ROWS, "4,50,100,Bath,True,,maybe")
    features.apply(settings)
    ingest(settings, shop, EPOCH, MONDAY)
    with pytest.raises(
        StackError, match="features.py, events.*column bought(?s:.*)'maybe' in 1 rows(?s:.*)'no', 'yes'"
    ):
        datasets.labelled(Project(settings, shop), MONDAY)


def test_an_outcome_that_is_not_known_yet_is_not_trained_on(shop: ProjectSpec, settings: Settings) -> None:
    deliver(shop.folder, *ROWS, "4,50,100,Bath,True,,")
    features.apply(settings)
    ingest(settings, shop, EPOCH, MONDAY)
    assert len(datasets.events(Project(settings, shop), MONDAY)) == 4
    assert len(datasets.labelled(Project(settings, shop), MONDAY)) == 3
    assert len(datasets.arrived(Project(settings, shop), EPOCH, MONDAY)) == 3
    assert len(datasets.window(Project(settings, shop), MONDAY - timedelta(days=1), MONDAY)) == 3
