"""Projects from tables with several dates: how each is read, which is the row's, what is learnt from others."""

import numpy as np
import pandas as pd
import pytest

from stack import project
from stack.authoring import check, rehearsal
from stack.authoring.scaffold.columns import look
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.specification import specs
from tests.stack.authoring.scaffolds import NOW, Folder

COUNT = 400
AT = pd.date_range("2024-01-03 05:00", periods=COUNT, freq="19h")
EARLIER = AT - pd.to_timedelta(np.random.default_rng(0).integers(1, 900, COUNT), "D")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Folder(tmp_path_factory.mktemp("dates"), patch)


def table(**columns):
    random = np.random.default_rng(1)
    days = (AT - EARLIER).days.to_numpy()
    facts = {"size": random.normal(size=COUNT).round(3), "cost": (days / 10 + random.normal(0, 10, COUNT)).round(2)}
    return pd.DataFrame(columns | facts)


def days(instants):
    return list(instants.strftime("%Y-%m-%d"))


def asked(name):
    spec = specs.load(name)
    return next(column for column, facts in spec.columns.items() if facts.role == "time"), spec


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("%Y/%m/%d %H:%M:%S", "ISO8601"),
        ("%d.%m.%Y, %H:%M", "%d.%m.%Y, %H:%M"),
        ("%m/%d/%Y %H:%M:%S.%f", "%m/%d/%Y %H:%M:%S.%f"),
        ("%d-%b-%Y", "%d-%b-%Y"),
        ("%B %d, %Y", "%B %d, %Y"),
        ("%b %d, %Y, %I:%M:%S %p", "%b %d, %Y, %I:%M:%S %p"),
        ("%Y%m%d", "%Y%m%d"),
        ("%Y%m%d%H", "%Y%m%d%H"),
        ("%Y%m%d:%H%M", "%Y%m%d:%H%M"),
        ("%Y-%m-%d %H:%M:%S UTC", "mixed"),
    ],
)
def test_each_way_of_writing_is_read_in_its_order(written, form):
    (column,) = look(pd.DataFrame({"date": AT.strftime(written)}))
    read = column.instants(pd.DataFrame({"date": AT.strftime(written)}))
    assert (column.kind, column.format, column.unread) == ("datetime", form, 0)
    assert days(read.dt) == days(AT)


@pytest.mark.parametrize(
    ("start", "sign", "end", "form"),
    [
        ("%d.%m.%Y %H:%M", " - ", "", "%d.%m.%Y %H:%M"),
        ("%d/%m/%Y %H:%M", " - ", " (CET/CEST)", "%d/%m/%Y %H:%M"),
        ("%Y-%m-%dT%H:%MZ", "/", "", ""),
        ("%Y-%m-%d", " – ", "", ""),
    ],
)
def test_an_interval_is_the_instant_of_its_start(folder, start, sign, end, form):
    name = f"interval_{len(start)}{len(end)}"
    periods = [f"{one:{start}}{sign}{one + pd.Timedelta('1h'):{start}}{end}" for one in AT]
    notes = folder.write(name, table(**{"MTU (CET/CEST)": periods}), target="cost").notes
    (column, spec) = asked(name)
    rows = project.Project(Settings(home=folder.root), spec).source.fetch(spec.clock.start, NOW)["rows"]
    assert [*rows[column].dt.strftime(start)] == [*AT.strftime(start)]
    assert spec.columns[column].format == form and any("the start of each counts" in note for note in notes)
    assert check.findings(name, NOW) == []


@pytest.mark.parametrize("clock", ["%H.%M.%S", "%H:%M", "%I:%M %p"])
def test_a_date_and_a_time_of_day_in_columns_of_their_own_are_one_instant(folder, clock):
    rows = table(Date=AT.strftime("%d/%m/%Y"), Time=AT.strftime(clock))
    name = f"meter_{clock.count('%')}{clock.count('.')}"
    separators = "," * (rows.shape[1] - 1) + "\n"  # spreadsheets write rows of nothing else
    folder.write(name, (rows.to_csv(index=False) + separators * 8).encode(), target="cost")
    column, spec = asked(name)
    assert (spec.columns[column].parts, spec.columns[column].format) == ({"date": "Date", "clock": "Time"}, "%d/%m/%Y")
    read = project.Project.open(name).source.fetch(spec.clock.start, NOW)["rows"]
    assert [*read[column]] == [*AT.tz_localize("UTC")]
    assert spec.features.entities == []


@pytest.mark.parametrize("clock", ["%H:%M", "%I:%M:%S %p"])
def test_a_time_of_day_without_a_date_is_in_hours(folder, clock):
    name = f"hours_{len(clock)}"
    notes = folder.write(name, table(departure=AT.strftime(clock)), target="cost").notes
    spec = specs.load(name)
    rows = project.Project(Settings(home=folder.root), spec).source.fetch(spec.clock.start, NOW)["rows"]
    assert rows["departure"].tolist() == pytest.approx(AT.hour + AT.minute / 60)
    assert spec.columns["departure"].unit == "h" and any("07:30 is 7.5: `departure`" in note for note in notes)
    assert check.findings(name, NOW) == []


def test_a_time_of_day_that_is_none_names_its_column(folder):
    rows = table(Date=AT.strftime("%Y-%m-%d"), Time=AT.strftime("%H:%M"))
    folder.write("clockless", rows, target="cost")
    folder.change("projects/clockless/data/clockless.csv", ",05:00,", ",noon,")
    spec = specs.load("clockless")
    with pytest.raises(StackError, match="(?s)Date, Time.*'noon' is no time of day"):
        project.Project.open("clockless").source.fetch(spec.clock.start, NOW)


def test_whole_numbers_may_be_the_digits_of_a_date():
    rows = pd.DataFrame({"order_date": AT.strftime("%Y%m%d").astype(int), "amount": range(20240101, 20240101 + COUNT)})
    date, amount = look(rows)
    assert (date.format, amount.kind) == ("%Y%m%d", "id") and days(date.instants(rows).dt) == days(AT)


def test_whole_numbers_may_be_the_digits_of_an_hour_and_no_seconds_since_1970():
    hours = pd.DataFrame({"MESS_DATUM": AT.strftime("%Y%m%d%H").astype(int)})
    (column,) = look(hours)
    assert [*column.instants(hours)] == [*AT.tz_localize("UTC")]


@pytest.mark.parametrize("written", ["%Y-%m", "%m/%Y", "%b-%y", "%B %Y"])
def test_months_are_the_instant_at_which_they_begin(written):
    months = pd.date_range("1949-01-01", periods=60, freq="MS")
    if written == "%b-%y":
        months = months + pd.DateOffset(years=40)
    table = pd.DataFrame({"month": months.strftime(written)})
    (column,) = look(table)
    assert [*column.instants(table)] == [*months.tz_localize("UTC")]


def test_a_season_is_no_month():
    assert look(pd.DataFrame({"season": ["2009-10", "2010-11", "2011-12"] * 20}))[0].kind == "string"


def test_texts_of_an_unknown_order_are_no_dates():
    (column,) = look(pd.DataFrame({"date": AT.strftime("%d/%m/%Y at %H")}))
    assert column.kind != "datetime"


def test_dates_that_fit_both_orders_are_read_as_another_column_of_the_file():
    both = [f"{day:02d}/{month:02d}/2019" for month in range(1, 13) for day in range(1, 13)]
    rows = pd.DataFrame({"registered": both, "booked": AT[: len(both)].strftime("%d/%m/%Y")})
    assert [column.format for column in look(rows)] == ["%d/%m/%Y", "%d/%m/%Y"]
    assert [column.format for column in look(rows[["registered"]])] == ["%m/%d/%Y"]


@pytest.mark.parametrize(
    ("row", "other"),
    [
        ("bestellt_am", "kunde_seit"),
        ("visit", "birth_date"),
        ("timestamp", "user.created"),
        ("when", "joined"),
        ("sale", "built"),
    ],
)
def test_the_instant_of_a_row_is_not_what_it_is_older_than(folder, row, other):
    name = f"row_{row.lower()}"
    folder.write(name, table(**{other: days(EARLIER), row: AT.astype(str)}), target="cost")
    time, spec = asked(name)
    (since,) = (column for column in spec.request if column not in (time, "size"))
    assert time == row and spec.features.formulas[f"{since}_days"] == f"days({time}) - days({since})"


def test_a_date_of_birth_is_no_instant_of_a_row(folder):
    folder.write("row_dob", table(dob=days(EARLIER)), target="cost")
    assert specs.load("row_dob").features.formulas["dob_days"] == "days(dob)"
    assert specs.load("row_dob").training.split == "random"


def test_without_time_later_dates_are_days_since_the_one_before(folder):
    written = folder.write("spans", table(ended=days(AT), started=days(EARLIER)), target="cost", time="none")
    formulas = specs.load("spans").features.formulas
    assert formulas["started_days"] == "days(started)" and formulas["ended_days"] == "days(ended) - days(started)"
    assert any("of later ones since the one before" in note for note in written.notes)


def test_what_does_not_vary_is_no_feature(folder):
    rows = table(
        day=days(AT), logged=AT.astype(str), at=AT.astype(str), week_start=days(EARLIER.to_period("W").start_time)
    )
    written = folder.write("same_instants", rows, target="cost")
    time, spec = asked("same_instants")
    assert {*spec.request} == {time, "week_start", "size"} and "week_start_weekday" not in spec.features.columns
    assert any("tells no more than the instant of the row" in note for note in written.notes)
    folder.write("same_days", table(day=days(AT)), target="cost")
    assert {*specs.load("same_days").features.columns} == {"day_weekday", "day_month", "size"}


def test_an_instant_with_gaps_is_used_where_the_user_says_so(folder):
    rows = table(at=AT.astype(str), serviced=days(EARLIER))
    rows.loc[::20, "serviced"] = None
    written = folder.write("gaps_out", rows, target="cost")
    assert "serviced" not in specs.load("gaps_out").request
    assert any("missing in 5.0% of the rows" in note and "KEEP=" in note for note in written.notes)
    folder.write("gaps_kept", rows, target="cost", keep="serviced")
    assert specs.load("gaps_kept").request["serviced"].nullable and check.findings("gaps_kept", NOW) == []
    assert rehearsal.run("gaps_kept", NOW, lambda _: None).high < 20


def test_the_end_of_time_is_no_category_and_no_instant(folder):
    ends = pd.Series(days(AT)).where(np.arange(COUNT) % 2 == 0, "9999-12-31")
    written = folder.write("forever", table(at=AT.astype(str), valid_to=ends), target="cost", keep="valid_to")
    assert "valid_to" not in specs.load("forever").columns
    assert any("`valid_to` is left out: 50.0% of its values are no instant" in note for note in written.notes)
    with pytest.raises(StackError, match="a date or an instant in every row"):
        folder.write("forever_asked", table(valid_to=ends), target="cost", time="valid_to")
