"""List data sets, also while MLflow is down and files come and go."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from sqlalchemy import insert

from services.portal.pages import catalog as page
from stack import catalog
from stack.core.database import engine, predictions
from stack.core.settings import Settings
from stack.features import feature_tables
from stack.project import Project
from stack.specification import specs
from tests.stacks import free_ports

FLIGHTS = specs.load("flights")
START, END = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 3, tzinfo=UTC)


@pytest.fixture
def home(tmp_path):
    """Return the settings of a lake of two batches and a torn file, one feature table, and an answered request."""
    settings = Settings(home=tmp_path, mlflow_port=free_ports(1)[0])
    raw = settings.lake / "flights" / "2013-01/month" / "flights"
    raw.mkdir(parents=True)
    for day in (1, 2):
        at = pd.date_range(f"2013-01-0{day}T01:00", periods=10, freq="h", tz="UTC", unit="us")
        pd.DataFrame({"available_at": at}).to_parquet(raw / f"2013010{day}.parquet")
    (raw / "torn.parquet").touch()
    view = pd.DataFrame({"origin": "EWR", "event_timestamp": pd.date_range(START, END, freq="h", unit="us")[1:]})
    tables = settings.feature_tables / "flights"
    feature_tables.replace(tables / "origin_stats", view, START, END)
    feature_tables.mark_served(Project(settings, FLIGHTS), END)
    row = {"id": "1", "project": "flights", "asked_at": END, "answered_at": END, "event_key": "", "request": {}}
    row |= {"features": {}, "model_version": "7", "answer": {}, "label": 1.0, "label_at": END}
    with engine(settings.state_database).begin() as connection:
        connection.execute(insert(predictions).values(**row))
    return settings


def test_rows_spans_and_versions_are_those_of_the_files(home):
    data_sets = {data_set.name: data_set for data_set in catalog.data_sets(Project(home, FLIGHTS))}
    raw, view, log = (data_sets[name] for name in ("flights", "origin_stats", "predictions"))
    assert (raw.rows, raw.since, raw.until) == (20, "2013-01-01 01:00", "2013-01-02 10:00")
    assert (view.rows, view.until, view.version) == (48, "2013-01-03 00:00", "flights_v1")
    assert (log.rows, log.version, log.note) == (1, "7", "1 labelled")
    assert data_sets["drift"].rows == 0 and data_sets["weather"].rows is None


def test_what_does_not_answer_leaves_the_rest_readable(home):
    (model,) = [
        data_set
        for data_set in catalog.data_sets(Project(home, FLIGHTS))
        if data_set.kind == "model" or data_set.name == "MLflow"
    ]
    assert "does not answer" in model.note


def test_the_picture_joins_every_set_with_those_it_is_made_of():
    kinds = [(0, 1), (1, 2), (2, 1)]
    rows = {"rows": 5, "version": "1", "note": "", "place": "<here>"}
    named = [(page.KINDS[kind], f"{kind}{n}") for kind, count in kinds for n in range(count)]
    data_sets = [{"kind": kind, "name": name, **rows} for kind, name in named]
    picture = page.picture(data_sets)
    assert picture.count('class="box"') == 4 and picture.count('class="edge"') == 4
    assert "&lt;here&gt;" in picture and "<here>" not in picture
