"""Create a project from a table: what is chosen, and that what is written is sound."""

import json
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from stack.authoring import check, rehearsal
from stack.authoring.scaffold import project as scaffold
from stack.authoring.scaffold.files import Source
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from stack.core.settings import ROOT, Settings
from stack.kit import parquet
from stack.project import Project, contract
from stack.specification import specs
from stack.validation import batches
from tests.stack.authoring.scaffolds import NOW, Folder, flats, flowers, german, sales
from tests.stack.messages import messages


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Folder(tmp_path_factory.mktemp("new"), patch)


def test_a_table_with_time_and_keys(folder):
    written = folder.write("new_sales", sales(), zone="Europe/Berlin")
    spec = specs.load("new_sales")
    assert (spec.task, spec.label, spec.tables["rows"].key) == ("regression", "units", ["order_no"])
    assert (spec.clock.kind, spec.features.entities) == ("replay", ["shop_id"])
    assert spec.features.columns["shop_id_units_28d"] == "number"
    assert spec.request["weather"].nullable and spec.request["weather"].known == ["rain", "sun"]
    assert {"country", "order_no"}.isdisjoint(spec.request)
    assert any("Europe/Berlin" in note for note in written.notes)
    assert written.to_read < 150
    assert check.findings("new_sales", NOW) == []


@pytest.mark.parametrize("last", ["all the same", "never seen before"])
def test_outcomes_that_the_last_days_do_not_share_are_held_out_at_random(folder, last):
    table = sales().assign(grade=np.where(np.arange(600) % 3, "good", "bad")).drop(columns="units")
    table.loc[table.index[-200:], "grade"] = "good"
    if last == "never seen before":
        table.loc[table.index[-100::2], "grade"] = "fair"
    name = f"new_{last.partition(' ')[0]}"
    written = folder.write(name, table, target="grade")
    assert specs.load(name).training.split == "random"
    assert any("held out at random" in note for note in written.notes)


def test_a_rare_outcome_is_tried_with_the_latest_rows(folder):
    rare = np.random.default_rng(0).random(20_000) < 0.0002
    x = np.random.default_rng(1).normal(size=20_000)
    kind = np.where(rare, "broken", np.where(x > 0, "high", "low"))
    folder.write("new_rare", pd.DataFrame({"x": x.round(4), "kind": kind}), target="kind")
    assert rehearsal.run("new_rare", NOW, lambda _: None).rows > 1000


def test_local_times_become_instants(folder):
    folder.write("new_zoned", sales(), zone="America/New_York", keys="none")
    rows = contract.source("new_zoned").fetch(pd.Timestamp(0, tz="UTC"), pd.Timestamp(NOW))["rows"]
    written = pd.to_datetime(sales()["Sold At"].iloc[0])
    assert rows["sold_at"].iloc[0] == written.tz_localize("America/New_York").tz_convert("UTC")
    assert check.findings("new_zoned", NOW) == []


def orders() -> pd.DataFrame:
    """Orders that are late where the customer is an old one: three dates, one of them after the order."""
    random = np.random.default_rng(3)
    ordered = pd.date_range("2025-01-01", periods=600, freq="5h")
    age, promised = random.integers(1, 900, 600), random.integers(1, 9, 600)
    table = pd.DataFrame({"ordered": ordered, "signed_up": (ordered - pd.to_timedelta(age, "D")).strftime("%d.%m.%Y")})
    table["promised"] = (ordered + pd.to_timedelta(promised, "D")).strftime("%Y-%m-%d")
    return table.assign(late=(age / 900 + random.random(600) > 1).astype(int))


def test_an_instant_that_is_known_when_asked_becomes_days_and_parts(folder):
    written = folder.write("new_orders", orders(), target="late", keys="none")
    spec = specs.load("new_orders")
    assert list(spec.request) == ["ordered", "signed_up"] and spec.source.zone == "UTC"
    assert spec.features.formulas["signed_up_days"] == "days(ordered) - days(signed_up)"
    assert {"signed_up_weekday", "signed_up_month"} < {*spec.features.columns}
    assert any("`signed_up` must be known when a row is asked about" in note for note in written.notes)
    assert any("`promised` is left out: it is after" in note and "KEEP=" in note for note in written.notes)
    assert rehearsal.run("new_orders", NOW, lambda _: None).low > 0.6
    folder.write("new_kept", orders(), target="late", keys="none", keep="promised")
    assert "days(ordered) - days(promised)" in specs.load("new_kept").features.formulas.values()


def test_without_time_instants_are_features_from_any_century(folder):
    born = pd.Timestamp("1850-01-01") + pd.to_timedelta(np.random.default_rng(4).permutation(600) * 50, "D")
    noise = np.random.default_rng(5).normal(size=600)
    table = pd.DataFrame({"born": born.strftime("%Y-%m-%d"), "grade": (born.year / 10 + noise).round(2)})
    folder.write("new_born", table, target="grade", time="none")
    assert specs.load("new_born").features.formulas["born_days"] == "days(born)"
    assert rehearsal.run("new_born", NOW, lambda _: None).high < 2.5


def test_an_instant_that_tells_the_outcome_is_a_leak(folder):
    table = orders().drop(columns="ordered")
    closed = pd.Timestamp("2025-06-01") + pd.to_timedelta(np.where(table["late"], 20, 3), "D")
    table = table.assign(closed=closed.strftime("%Y-%m-%d"), price=np.arange(600) % 70 / 3)
    written = folder.write("new_closed", table, target="late", time="none")
    assert "closed" not in specs.load("new_closed").request
    assert any("`closed` is left out" in note and "KEEP=" in note for note in written.notes)


def test_texts_and_rare_values_are_learnt_from(folder):
    rows = messages(1200).drop(columns=["event_timestamp", "label_available_at"])
    towns = np.random.default_rng(1).integers(0, 400, len(rows))
    rows["town"] = [f"town {number}" for number in towns]
    rows["spam"] = np.where(towns % 7 == 0, 1 - rows["spam"], rows["spam"])
    rows["who"] = [f"Mr. No {number}" for number in range(len(rows))]
    rows.loc[::50, "message"] = None
    written = folder.write("new_sms", rows, target="spam")
    spec = specs.load("new_sms")
    assert spec.features.columns == {"hour": "number", "sender": "category", "town": "category", "message": "text"}
    assert spec.features.encode == {"town": "target"} and spec.request["message"].nullable
    assert any("`message`" in note and "words" in note for note in written.notes)
    assert any("`who`" in note and "left out" in note for note in written.notes)
    assert written.lines < 40
    outcome = rehearsal.run("new_sms", NOW, lambda _: None)
    assert outcome.metric == "auc" and outcome.low > 0.75


@pytest.mark.parametrize(("classes", "task"), [(2, "binary"), (3, "multiclass")])
def test_a_table_without_time(folder, classes, task):
    folder.write(f"new_{task}", flowers(classes))
    spec = specs.load(f"new_{task}")
    assert (spec.task, spec.tables["rows"].snapshot, spec.training.split) == (task, True, "random")
    assert len(spec.classes) == classes and list(spec.request) == ["petal_cm", "sepal"]
    assert check.findings(f"new_{task}", NOW) == []


def test_whole_numbers_with_gaps_between_them_are_a_number(folder):
    folder.write("new_watts", flowers().assign(watts=[10, 20, 30, 50, 80] * 30), target=" watts")
    folder.write("new_grades", flowers().assign(grade=[1, 2, 3, 4, 6] * 30), target="grade")
    assert (specs.load("new_watts").task, specs.load("new_grades").task) == ("regression", "multiclass")


def test_a_number_that_may_stand_for_a_missing_value_is_pointed_out(folder):
    rows = sales()
    rows.loc[::20, "price"] = -200
    written = folder.write("new_coded", rows, target="units", time="Sold At")
    assert [note for note in written.notes if "`price`" in note and "MISSING=-200" in note]
    assert not [note for note in folder.write("new_uncoded", sales(), target="units").notes if "far from" in note]


def test_an_id_of_few_values_is_known_when_asked(folder):
    rows = sales()
    zone, customer = rows.index % 25 + 1, rows.index // 5
    folder.write("new_zones", rows.assign(zone_id=zone, customer_id=customer), target="units", keys="ShopID")
    request = specs.load("new_zones").request
    assert "zone_id" in request and "customer_id" not in request


def test_a_number_is_missing_where_the_user_says_that_it_stands_for_that(folder):
    rows = sales()
    rows.loc[::20, "price"] = -200
    written = folder.write("new_gaps", rows, target="units", time="Sold At", missing="-200, n/k")
    spec = specs.load("new_gaps")
    assert spec.source.options["na_values"] == ["-200", "n/k"] and not [n for n in written.notes if "MISSING" in n]
    read = contract.source("new_gaps").fetch(spec.clock.start, spec.clock.first_now)["rows"]
    assert read["price"].isna().sum() == 30 and read["price"].min() > 0


def test_words_among_the_numbers_of_a_target_are_named(folder):
    rows = sales().astype({"units": object})
    rows.loc[::4, "units"] = "off"
    with pytest.raises(StackError, match="units: numbers in 450 of 600 rows, 'off' in 150"):
        folder.write("new_words", rows, target="units", task="regression")


@pytest.mark.parametrize(
    ("name", "encoding", "separator"),
    [("new_bom", "utf-8-sig", ";"), ("new_windows", "cp1252", ";"), ("new_utf16", "utf-16", "\t")],
)
def test_a_spreadsheet_of_another_country(folder, name, encoding, separator):
    table = flats()
    written = folder.write(name, table.to_csv(index=False, sep=separator).encode(encoding))
    spec = specs.load(name)
    assert (spec.task, spec.classes, spec.label) == ("multiclass", ["gut", "mittel", "schlecht"], "zustand")
    rows = contract.source(spec.name).fetch(spec.clock.start, spec.clock.first_now)["rows"].sort_values("row")
    assert len(rows) == len(table)
    assert rows["kaufpreis_in"].map(german).tolist() == table["Kaufpreis in €"].tolist()
    assert rows["plz"].tolist() == table["PLZ"].tolist()
    assert rows["grosster_mangel"].isna().tolist() == (table["Größter Mangel"] == "-").tolist()
    assert rows["ubergabe"].dt.strftime("%d.%m.%Y").tolist() == table["Übergabe"].tolist()
    assert {"lfd_nr", "land"}.isdisjoint(spec.request) and spec.request["altbau"].nullable
    assert written.to_read < 150 and check.findings(name, NOW) == []


def test_the_decimal_sign_of_a_file_is_that_of_its_numbers_with_units(folder):
    table = sales()[["ShopID", "units"]].assign(
        lot=[f"{1000 + 7 * number:,}".replace(",", ".") for number in range(600)]
    )
    table["units"] = [f"€ {german(100 * amount)}" for amount in table["units"]]
    folder.write("new_euros", table.to_csv(index=False, sep=";").encode(), target="units")
    spec = specs.load("new_euros")
    assert spec.task == "regression" and spec.columns["units"].unit == "€"
    rows = contract.source(spec.name).fetch(spec.clock.start, NOW)["rows"]
    assert rows["units"].tolist() == pytest.approx(100 * sales()["units"], abs=0.01)
    assert rows["lot"].tolist() == [1000 + 7 * number for number in range(600)]


@pytest.mark.parametrize("sign", [".", ","])
@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_sign_before_three_digits_is_between_thousands_where_less_has_none(folder, sign, separator):
    numbers = [100 * number for number in range(1, 401)]
    table = pd.DataFrame({"paid": [f"{number:,}".replace(",", sign) for number in numbers], "units": range(7, 407)})
    (file := folder.root / "paid.csv").write_text(table.to_csv(index=False, sep=separator))
    assert Source.of(file).read(file)["paid"].tolist() == numbers
    table["paid"] = [f"{number / 1000:.3f}".replace(".", sign) for number in numbers]
    file.write_text(table.to_csv(index=False, sep=separator))
    assert Source.of(file).read(file)["paid"].tolist() == [number / 1000 for number in numbers]


@pytest.mark.parametrize(
    ("sign", "decimal"), [("'", "."), ("\N{NARROW NO-BREAK SPACE}", ","), (" ", ","), ("\N{NO-BREAK SPACE}", ",")]
)
def test_other_signs_are_between_thousands_too(folder, sign, decimal):
    def written(number):
        return f"{number:,.2f}".translate(str.maketrans({",": sign, ".": decimal}))

    table = sales().assign(price=[written(1000 * price) for price in sales()["price"]])
    content = table.to_csv(index=False, sep=";", decimal=decimal).encode()
    name = f"new_grouped_{ord(sign)}"
    folder.write(name, content, target="units")
    spec = specs.load(name)
    rows = contract.source(name).fetch(spec.clock.start, spec.clock.first_now)["rows"]
    assert rows["price"].tolist() == pytest.approx(1000 * sales()["price"])
    assert rows["units"].tolist() == pytest.approx(sales()["units"])


def test_letters_beside_few_numbers_are_categories(folder):
    holidays = np.where(np.arange(600) % 50 == 0, "a", "0")
    folder.write("new_letters", sales().assign(holiday=holidays, grade=["a", "b"] * 300), target="units")
    spec = specs.load("new_letters")
    assert spec.columns["holiday"].values == ["0", "a"] and spec.columns["grade"].values == ["a", "b"]
    assert "na_values" not in spec.source.options


def test_a_column_that_is_nearly_empty_is_no_warning(folder):
    pool = np.where(np.arange(600) % 151 == 0, ["Gd", "Ex"] * 300, None)
    folder.write("new_sparse", sales().assign(pool=pool), target="units")
    assert 0.995 < specs.load("new_sparse").columns["pool"].missing < 1


def test_decimals_and_durations_of_a_parquet_file_are_numbers(folder):
    table = sales().assign(price=[Decimal(f"{price:.2f}") for price in sales()["price"]])
    table["took"] = pd.to_timedelta(sales()["price"], unit="min")
    table.to_parquet(folder.root / "new_exact.parquet")
    scaffold.write("new_exact", folder.root / "new_exact.parquet", Wishes(target="units"), NOW, None)
    spec = specs.load("new_exact")
    rows = contract.source(spec.name).fetch(spec.clock.start, spec.clock.first_now)["rows"]
    assert rows["price"].tolist() == pytest.approx(sales()["price"])
    assert rows["took"].tolist() == pytest.approx(60 * sales()["price"]) and spec.columns["took"].unit == "s"
    assert check.findings("new_exact", NOW) == []


def test_a_leak_is_left_out_where_nothing_else_is_known_but_the_instant(folder):
    table = sales()[["Sold At", "units"]].assign(cost=lambda rows: 28 * rows["units"])
    notes = folder.write("new_only_leak", table, target="units", time="Sold At").notes
    assert "cost" not in specs.load("new_only_leak").request
    assert any("`cost` is left out: it is the target in other units" in note for note in notes)


def test_a_column_of_lists_is_left_out(folder):
    table = sales().assign(tags=[["new"], ["new", "cheap"], []] * 200, sizes=[{"a": [number]} for number in range(600)])
    (folder.root / "new_lists.json").write_text(
        json.dumps({"status": "ok", "data": {"rows": table.to_dict("records")}})
    )
    wishes = Wishes(target="units")
    notes = scaffold.write("new_lists", folder.root / "new_lists.json", wishes, NOW, None).notes
    assert any(note == "`tags`, `sizes.a` are left out: each holds lists." for note in notes)
    assert check.findings("new_lists", NOW) == []


def test_numbers_with_commas_between_thousands_blanks_and_units(folder):
    table = sales()
    table["revenue"] = [f"{amount:,.1f}" for amount in 1000 * table["price"]]
    table.loc[:30, "revenue"] = " "
    table["discount"] = [f"{number % 50} %" for number in range(len(table))]
    table["fee"] = [f"-${amount:,.2f}" for amount in 100 * table["units"]]
    table["parcel"] = np.where(table["promo"], "2 kg", "500 g")
    table["flat"] = [f"{number}{letter}" for number, letter in zip(table["ShopID"], "ab" * 300, strict=True)]
    table["since"] = pd.to_datetime(table["Sold At"]).dt.strftime("%m/%d/%Y %I:%M %p")
    notes = folder.write("new_american", table, target="revenue", time="since").notes
    spec = specs.load("new_american")
    rows = contract.source(spec.name).fetch(spec.clock.start, spec.clock.first_now)["rows"]
    assert rows["revenue"].isna().sum() == 31
    assert rows["revenue"].iloc[-1] == pytest.approx(1000 * table["price"].iloc[-1], abs=0.1)
    assert rows["since"].iloc[-1].tz_localize(None) == pd.to_datetime(table["Sold At"].iloc[-1]).floor("min")
    assert rows["discount"].tolist() == [number % 50 for number in range(600)] and spec.columns["discount"].unit == "%"
    assert rows["fee"].tolist() == pytest.approx(-100 * table["units"], abs=0.01)
    assert spec.request["parcel"].type == spec.request["flat"].type == "string"
    assert any("**Review** `parcel`: numbers with different units" in note for note in notes)
    assert check.findings("new_american", NOW) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,c\n" + "1,2,3\n" * 30 + "1,2,3,4,5\n", "Expected 3 fields in line 32, saw 5"),
        ("a,b\n1,2\n", "1 rows, 2 columns"),
        ("a,b\n" + "".join(f"{row},x{row}\n" for row in range(20)), "20 different values.*at least 3 rows"),
        (
            "year,b\n" + "".join(f"{1900 + row},{row % 7 + row / 3}\n" for row in range(60)),
            "b from .year is left out: it only",
        ),
    ],
)
def test_a_file_that_is_no_table_is_refused(folder, content, message):
    with pytest.raises(StackError, match=f"(?s){message}"):
        folder.write("new_none", content.encode())


@pytest.mark.parametrize("name", ["class", "größe", "2nd", "my-shop", "Shop"])
def test_a_name_that_python_or_a_url_does_not_take_is_refused(folder, name):
    with pytest.raises(StackError, match="NAME"):
        folder.write(name, flowers())


def test_a_living_table_runs_on_the_wall_clock_with_schedules(folder):
    table = sales()
    shift = pd.Timestamp(NOW).tz_localize(None) - pd.to_datetime(table["Sold At"]).max()
    table["Sold At"] = (pd.to_datetime(table["Sold At"]) + shift).astype(str)
    folder.write("new_living", table)
    spec = specs.load("new_living")
    assert spec.clock.kind == "wall" and set(spec.schedules.crons) == {"ingest", "monitor"}


def test_a_column_that_knows_the_answer_is_pointed_out(folder):
    table = sales()
    table["revenue"] = table["units"] * 3
    notes = "\n".join(folder.write("new_leak", table, target="units").notes)
    assert "**Review** `revenue`" in notes and "**Review** `price`" not in notes


def test_the_past_of_a_key_holds_no_outcome_of_the_same_day_or_later(folder):
    folder.write("new_past", sales(), target="units", keys="ShopID", time="Sold At")
    features, spec = contract.features("new_past"), specs.load("new_past")
    rows = contract.source(spec.name).fetch(spec.clock.start, spec.clock.first_now)["rows"]
    past = features.build({"rows": rows}, spec.clock.start, spec.clock.first_now)["new_past_shop_id_past"]
    at = pd.Timestamp("2024-02-15", tz="UTC")
    mean = past[(past["event_timestamp"] == at) & (past["shop_id"] == 3)]["shop_id_units_7d"].item()
    week = rows[(rows["shop_id"] == 3) & (rows["sold_at"] >= at - pd.Timedelta(days=7)) & (rows["sold_at"] < at)]
    assert mean == pytest.approx(week["units"].mean(), rel=1e-6)


def test_what_is_written_is_as_clean_as_our_own(folder):
    table = sales()
    for number in range(25):
        table[f"a rather long name of measurement {number}"] = np.random.default_rng(number).normal(size=len(table))
    folder.write("new_wide", table)
    config = ["--config", str(ROOT / "pyproject.toml"), "--config", f"src = ['{ROOT}']", "--no-cache"]
    for arguments in (["check", *config], ["format", "--check", *config]):
        command = [sys.executable, "-m", "ruff", *arguments, "."]
        result = subprocess.run(command, cwd=folder.root, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"target": "unit"}, "did you mean 'units'"),
        ({"time": "price"}, "TIME=price"),
        ({"keys": "Shop"}, "did you mean 'ShopID'"),
        ({"zone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
    ],
)
def test_a_wish_that_cannot_be_met_names_the_nearest(folder, wishes, message):
    with pytest.raises(StackError) as caught:
        folder.write("new_wish", sales(), **wishes)
    assert message in str(caught.value)
    assert not (folder.root / "projects" / "new_wish").exists()


def test_an_existing_project_is_not_overwritten(folder):
    folder.write("new_twice", flowers())
    with pytest.raises(StackError, match="it exists"):
        folder.write("new_twice", flowers())


@pytest.mark.parametrize("zone", [None, "UTC"])
def test_of_a_parquet_file_a_window_is_read_alone(folder, zone):
    table, name = sales(), f"new_{'zoned' if zone else 'local'}_file"
    table["Sold At"] = pd.to_datetime(table["Sold At"]).dt.tz_localize(zone)
    file = folder.root / "sales.parquet"
    table.to_parquet(file, row_group_size=100)
    wishes = Wishes(target="units", time="Sold At", keys="ShopID", zone=None if zone else "Europe/Berlin")
    scaffold.write(name, file, wishes, NOW, lambda _, default, __: default)
    assert check.findings(name, NOW) == []
    project = Project(Settings(home=folder.root), specs.load(name))
    since, until = project.spec.clock.start, project.spec.clock.first_now
    whole = project.source.fetch(since, until)["rows"]
    middle = whole["available_at"].iloc[300].to_pydatetime()
    parts = [project.source.fetch(*window)["rows"] for window in ((since, middle), (middle, until))]
    assert [len(part) for part in parts] == [301, 299]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    assert batches.windows(project, since, until) == [(since, until)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet.split, "__defaults__", (200,))
        ends = [end for _, end in batches.windows(project, since, until)]
    assert len(ends) == 3 and ends[-1] == until and all(end.microsecond == 0 for end in ends)
