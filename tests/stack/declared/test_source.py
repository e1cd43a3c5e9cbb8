"""Rows of a declared source: types, names and instants, and what becomes of values that are none of their type."""

import sqlite3
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from stack import sources
from stack.authoring import check
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.project import Project
from stack.sources import file
from stack.specification import specs
from stack.validation import batches
from tests.stack.authoring.scaffolds import NOW, Folder, sales


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return Folder(tmp_path, monkeypatch)


def project(folder: Folder, table: pd.DataFrame, *changes: tuple[str, str]) -> Project:
    """Return a project of the sales whose file is another one."""
    folder.write("declared", sales(), target="units", time="Sold At", keys="ShopID")
    table.to_csv(folder.root / "projects/declared/data/declared.csv", index=False)
    for old, new in changes:
        folder.change("projects/declared/project.yaml", old, new)
    return Project(Settings(home=folder.root), specs.load("declared"))


def rows(of: Project) -> pd.DataFrame:
    return of.source.fetch(of.spec.clock.start, NOW)["rows"]


def test_rows_that_are_changed_in_place_are_read_anew(folder):
    of = project(folder, sales())
    first = rows(of)
    known = first.copy()
    first.loc[:, ["price", "units"]] = 0
    pd.testing.assert_frame_equal(rows(of), known)


def test_a_check_keeps_no_rows_in_memory(folder):
    of = project(folder, sales())
    rows(of)
    assert file._unchanged.cache_info().currsize
    assert check.findings("declared", NOW) == []
    assert not file._unchanged.cache_info().currsize


def test_only_an_ingest_asks_once(folder, monkeypatch):
    of, asked, read = project(folder, sales()), [], sources.read

    def recorded(source, place, query):
        asked.append(query.once)
        return read(source, place, query)

    monkeypatch.setattr(sources, "read", recorded)
    rows(of)
    of.source.requests(of.spec.clock.start, NOW)
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("column", "value"),
    [("price", "dear"), ("ShopID", "first"), ("ShopID", "2.5"), ("promo", "maybe"), ("units", "many")],
)
def test_a_row_with_a_value_of_another_type_is_taken_out_alone(folder, column, value):
    table = sales().astype({column: object})
    table.loc[7, column] = value
    of = project(folder, table)
    result = batches.validate(of, {"rows": rows(of)}, of.spec.clock.start, NOW)
    assert (result.accepted, result.quarantined_rows) == (True, 1)
    assert len(result.tables["rows"]) == 599
    name = {"ShopID": "shop_id"}.get(column, column)
    assert any(f"{name}: {value}" in warning for warning in result.warnings)
    (kept,) = (of.settings.quarantine / "declared").glob("*/rows.parquet")
    assert pd.read_parquet(kept)[name].astype(str).tolist() == [value]


def test_a_batch_of_many_such_values_is_refused(folder):
    table = sales().astype({"price": object})
    table.loc[:59, "price"] = "dear"
    of = project(folder, table)
    result = batches.validate(of, {"rows": rows(of)}, of.spec.clock.start, NOW)
    assert not result.accepted and any("values of the types in project.yaml" in text for text in result.failures)


def test_an_outcome_is_known_when_it_is_said_to_be(folder):
    later = project(folder, sales(), ("zone: UTC", "zone: UTC, known_after: P2D"))
    known = rows(later)
    assert (known["available_at"] - known["sold_at"] == timedelta(days=2)).all()
    middle = known["available_at"].iloc[300].to_pydatetime()
    first, second = (
        later.source.fetch(*window)["rows"] for window in ((later.spec.clock.start, middle), (middle, NOW))
    )
    assert len(first) == 301 and len(second) == 299
    asked = later.source.requests(later.spec.clock.start, middle)
    assert asked["asked_at"].max() <= middle and len(asked) > 301 and "units" not in asked


def test_an_instant_that_is_none_is_told_with_its_column(folder):
    table = sales()
    table.loc[3, "Sold At"] = "noon"
    with pytest.raises(StackError, match=r"(?s)column Sold At.*noon.*columns.sold_at.format"):
        rows(project(folder, table))


def test_a_column_that_is_known_later_is_no_field_but_has_a_past(folder):
    of = project(folder, sales(), ("price: {type: number", "price: {type: number, role: later"))
    assert "price" not in of.spec.request and "price" not in of.spec.features.columns
    assert of.spec.features.columns["shop_id_price_7d"] == "number"
    until = of.spec.clock.first_now
    past = of.features.build({"rows": rows(of)}, until - timedelta(days=3), until)["declared_shop_id_past"]
    assert past["shop_id_price_7d"].notna().any()
    assert "price" not in of.source.requests(of.spec.clock.start, until)


def test_a_key_without_a_past_is_a_field_alone(folder):
    of = project(folder, sales())
    path = of.spec.folder / "project.yaml"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if " by shop_id" not in line))
    assert check.findings("declared", NOW) == []
    spec = specs.load("declared")
    assert spec.features.entities == [] and "shop_id" in spec.request
    assert spec.features.columns["shop_id_category"] == "category"


def test_whole_numbers_beside_a_gap_keep_their_text(folder):
    table = sales()
    table["weather"] = np.where(np.arange(600) % 5 == 0, np.nan, 12.0)
    of = project(folder, table, ("values: [rain, sun]", "values: ['12']"))
    assert set(rows(of)["weather"].dropna()) == {"12"} and rows(of)["weather"].isna().sum() == 120


def test_files_that_come_into_a_folder_are_batches(folder):
    of = project(
        folder, sales(), ("source: {path: data/declared.csv", "source: {kind: folder, path: inbox, settled: PT0S")
    )
    inbox = folder.root / "projects/declared/inbox"
    inbox.mkdir()
    began = datetime.now(UTC) - timedelta(seconds=2)
    sales().iloc[:100].to_csv(inbox / "first.csv", index=False)
    sales().iloc[100:150].to_csv(inbox / "second.csv", index=False)
    until = datetime.now(UTC) + timedelta(seconds=2)
    fetched = of.source.fetch(began, until)["rows"]
    assert len(fetched) == 150 and (fetched["available_at"] > pd.Timestamp(began)).all()
    assert of.source.fetch(until, until + timedelta(days=1))["rows"].empty
    assert of.source.late(began, until).empty, "they are of last year"
    day_ago = (until - timedelta(hours=20)).strftime("%Y-%m-%d %H:%M:%S")
    sales().iloc[:3].assign(**{"Sold At": day_ago}).to_csv(inbox / "third.csv", index=False)
    late = of.source.late(began, until + timedelta(seconds=2))
    assert len(late) == 3 and (late["asked_at"] == pd.Timestamp(day_ago, tz="UTC")).all() and "units" not in late
    assert sorted(of.spec.tables["rows"].key) == ["order_no"] and not of.spec.tables["rows"].snapshot


def test_a_table_of_a_database_is_a_source(folder):
    of = project(
        folder,
        sales(),
        ("source: {path: data/declared.csv", "source: {kind: sql, url: 'sqlite:///shop.db', table: sales"),
    )
    with sqlite3.connect(folder.root / "projects/declared/shop.db") as database:
        sales().to_sql("sales", database, index=False)
    since, until = of.spec.clock.start, of.spec.clock.first_now
    whole = rows(of)
    assert len(whole) == 600 and whole["promo"].dtype == bool
    middle = since + (until - since) / 2
    parts = [of.source.fetch(*window)["rows"] for window in ((since, middle), (middle, until))]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_a_row_that_is_committed_late_is_in_the_next_batch(folder):
    shop = "source: {kind: sql, url: 'sqlite:///shop.db', table: sales, settled: PT1M"
    of = project(folder, sales(), ("source: {path: data/declared.csv", shop))
    at = datetime(2024, 3, 1, 12, tzinfo=UTC)
    minute, row = timedelta(minutes=1), sales().head(1)
    with sqlite3.connect(folder.root / "projects/declared/shop.db") as database:

        def commit(instant: datetime) -> None:
            stamped = row.assign(**{"Sold At": instant.strftime("%Y-%m-%d %H:%M:%S")})
            stamped.to_sql("sales", database, index=False, if_exists="append")

        commit(at - minute)
        first = of.source.fetch(at - 2 * minute, at)["rows"]
        commit(at - minute / 2)
        second = of.source.fetch(at, at + minute)["rows"]
    assert [*first["sold_at"], *second["sold_at"]] == [at - minute, at - minute / 2]
    assert (second["available_at"] - second["sold_at"] == minute).all()


def test_rows_of_a_database_need_a_key(folder):
    of = "source: {kind: sql, url: 'sqlite:///shop.db', table: sales"
    with pytest.raises(StackError, match=r"(?s)source.key.*rows of kind sql have no number"):
        project(folder, sales(), ("source: {path: data/declared.csv", of), ("role: id", "role: later"))


def test_rows_of_before_a_column_was_declared_are_named_with_the_way_out(folder):
    declared = project(folder, sales())
    older = rows(declared).drop(columns="price")
    with pytest.raises(StackError, match="column price") as refused:
        declared.features.events({"rows": older})
    assert "make remove PROJECT=declared KEEP=1" in str(refused.value)
