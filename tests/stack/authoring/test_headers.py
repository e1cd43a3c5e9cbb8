"""Where a file has its column names, and what separates them."""

import csv

import pandas as pd
import pytest
from openpyxl import Workbook

from stack.authoring.scaffold import files, headers

NAMES, ROW = "day;room;kWh", "01.02.2024;hall;1,5"
TABLE = [NAMES, *[ROW] * 30]


@pytest.mark.parametrize(
    ("above", "count"),
    [
        ([], 0),
        (["Meter readings, hall and kitchen"], 1),
        (["Meter readings;;"], 1),
        (["Meter", "", "made on 3 March 2024, 12:00", ""], 4),
        (["Meter;;", ";;", "Number 5;;"], 3),
    ],
)
def test_what_is_above_the_names_is_skipped(above, count):
    assert headers.written([f"{line}\n" for line in [*above, *TABLE]]) == (";", count)


@pytest.mark.parametrize(
    "names", [";value", "a;;", "a;b", "Name;with, comma;more"], ids=["index", "empty names", "two", "comma"]
)
def test_names_on_the_first_line_stay_there(names):
    width = names.count(";") + 1
    assert headers.written([names, *[";".join(["1,5"] * width)] * 30])[1] == 0


@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_rows_may_have_a_name_that_the_first_line_does_not_name(separator, tmp_path):
    cars = pd.DataFrame({"cyl": [4, 6] * 20, "mpg": 21.5}, index=[f"Mazda RX{number}" for number in range(40)])
    text = cars.to_csv(sep=separator, quoting=csv.QUOTE_NONNUMERIC).replace('""' + separator, "", 1)
    (tmp_path / "cars.txt").write_text(text)
    table = files.Source.of(tmp_path / "cars.txt").read(tmp_path / "cars.txt")
    assert table[["cyl", "mpg"]].equals(cars.reset_index(drop=True)) and [*table["row_name"]] == [*cars.index]


def test_a_separator_at_the_end_of_each_row_is_before_an_empty_column(tmp_path):
    (tmp_path / "log.csv").write_text("room;kWh\n" + "hall;1.5;\n" * 30)
    table = files.Source.of(tmp_path / "log.csv").read(tmp_path / "log.csv")
    assert table["kWh"].eq(1.5).all() and table["room"].eq("hall").all()


def test_comments_above_and_remarks_below_are_left_out(tmp_path):
    above, rows = "#group,false,false\n#default,,\n", "".join(f"2024-03-{day:02},{day}.5\n" for day in range(1, 31))
    below = "\nkWh: energy, of the hall and the kitchen, in the meter's own counting\n\n(c) the meter\n"
    (tmp_path / "meter.csv").write_text(above + "day,kWh\n" + rows + below)
    source = files.Source.of(tmp_path / "meter.csv")
    table = source.read(tmp_path / "meter.csv")
    assert [*table] == ["day", "kWh"] and table["kWh"].sum() == sum(range(1, 31)) + 15


@pytest.mark.parametrize(
    ("row", "row_2", "separator"),
    [
        ("39, State-gov, 77516, ?, <=50K", "50, Private, 83311, Sales, >50K", ","),
        ("5.1,3.5,1.4,0.2,Iris-setosa", "4.9,3.0,1.4,0.2,Iris-setosa", ","),
        (" 0.00632  18.00   2.310  0  0.5380", " 0.02731   0.00   7.070  0  0.4690", headers.BLANKS),
        ("vhigh,vhigh,2,2,small,unacc", "vhigh,low,5more,more,big,unacc", ","),
        ("2024-03-01 00:00;hall;21,5", "2024-03-01 01:00;attic;19,0", ";"),
        ("A11 6 A34 A43 1169 1", "A12 48 A32 A43 5951 2", headers.BLANKS),
    ],
    ids=["adult", "iris", "housing", "car", "log", "german"],
)
def test_a_first_line_of_values_is_a_row_of_columns_that_are_numbered(row, row_2, separator, tmp_path):
    file = tmp_path / "rows.data"
    file.write_text(f"{row}\n{row_2}\n" * 30 + "\n")
    source = files.Source.of(file)
    table = source.read(file)
    assert source.options["header"] is None and source.options.get("sep", ",") == separator
    assert [*table] == [f"column_{number}" for number in range(1, 1 + len(table.columns))]
    assert len(table) == 60


@pytest.mark.parametrize(
    "names",
    ["country,2019,2020,2021", "id,0,1,2", ",400,402,404", "shop,2024-01-01,2024-01-02,2024-01-03", "name,a,b,c"],
)
def test_a_first_line_of_years_or_days_names_columns(names):
    assert not headers.has_no_names([names, *[f"Norway{number},1.5,2.5,3.5" for number in range(30)]], ",")


def test_an_empty_line_in_the_last_text_is_no_end_of_the_rows(tmp_path):
    texts = "".join(f'{number},"Nice.\n\nBroken, alas",1\n' for number in range(30))
    (tmp_path / "reviews.csv").write_text("id,text,stars\n" + texts)
    table = files.Source.of(tmp_path / "reviews.csv").read(tmp_path / "reviews.csv")
    assert len(table) == 30 and table["text"].nunique() == 1


def test_names_may_stand_behind_a_comment_sign():
    assert headers.written(["# time,temp", *["2024-03-01,4.5"] * 30]) == (",", 0)


def test_blanks_separate_where_no_other_sign_does(tmp_path):
    (tmp_path / "station.dat").write_text("  date       temp   rain\n" + "  2024-03-01   4.5    0.0\n" * 30)
    table = files.Source.of(tmp_path / "station.dat").read(tmp_path / "station.dat")
    assert [*table] == ["date", "temp", "rain"] and table["temp"].eq(4.5).all()


def test_a_tab_among_blanks_is_one_of_them():
    cars = ['18.0   8   3504.   70\t"chevrolet malibu"', '15.0   8   3693.   70\t"buick"'] * 20
    assert headers.written(cars) == (headers.BLANKS, 0)
    assert headers.written(["name\tcylinders", *["chevrolet malibu\t8", "buick skylark\t8"] * 20]) == ("\t", 0)


def test_units_below_the_names_are_left_out(tmp_path):
    rows = "".join(f"01.03.2024 {hour:02}:00;{hour},5;{hour},25\n" for hour in range(24))
    (tmp_path / "pv.csv").write_text("Datum und Uhrzeit;PV;Verbrauch\n[dd.MM.yyyy HH:mm];[Wh];[Wh]\n" + rows)
    source = files.Source.of(tmp_path / "pv.csv")
    table = source.read(tmp_path / "pv.csv")
    assert source.options["skiprows"] == [1] and len(table) == 24
    assert table["PV"].sum() == sum(range(24)) + 12


@pytest.mark.parametrize("row", ["2024-03-01,--,--", "2024-03-01,?,1.5", "1,NA,"])
def test_a_first_row_without_values_holds_no_units(row):
    lines = ["day,temp,rain", row, *[f"2024-03-02,{number},0.5" for number in range(30)]]
    assert not headers.has_units(lines, ",")


@pytest.mark.parametrize("blank", ["", "\n\n"])
def test_a_total_below_rows_that_begin_with_dates_is_left_out(blank, tmp_path):
    rows = "".join(f"2024-03-{day:02} 00:00:00 -0500,{day}\n" for day in range(1, 31))
    (tmp_path / "pv.csv").write_text(f"Date/Time,Energy (Wh)\n{rows}Total,465\n{blank}")
    table = files.Source.of(tmp_path / "pv.csv").read(tmp_path / "pv.csv")
    assert len(table) == 30 and table["Energy (Wh)"].sum() == 465


def test_the_rows_of_a_workbook_are_those_of_the_first_sheet_that_has_any(tmp_path):
    with pd.ExcelWriter(tmp_path / "book.xlsx") as book:
        pd.DataFrame({"Report": ["2024"]}).to_excel(book, sheet_name="Cover", index=False)
        pd.DataFrame({"no": range(30), "sum": 5.5}).to_excel(book, sheet_name="Invoices", index=False, startrow=2)
        pd.DataFrame({"no": range(60), "sum": 5.5}).to_excel(book, sheet_name="Older", index=False)
        book.sheets["Invoices"]["A1"] = "Invoices of 2024"
    assert headers.of_workbook(tmp_path / "book.xlsx", 20) == {"sheet_name": "Invoices", "skiprows": 2}


def test_a_text_of_several_lines_is_a_part_of_its_row():
    lines = ["text;stars\n", *['"Nice, but\n', 'broken, alas";1\n'] * 30]
    assert headers.written(lines) == (";", 0)


def test_lines_of_one_column_have_no_separator_and_nothing_above():
    assert headers.written(["value", *["5"] * 30]) == (",", 0)


@pytest.mark.parametrize("below", [[], [[], ["sum", None, 165]], [[], [], ["made by", "me"], ["sum", None, 165]]])
@pytest.mark.parametrize("above", [0, 1, 3])
def test_titles_and_sums_of_a_workbook_are_left_out(above, below, tmp_path):
    book = Workbook()
    titles = [["Invoices"], *[[]] * (above - 1)][:above]
    rows = [[number, "Ann", 5.5, None] for number in range(30)]
    for row in [*titles, ["no", "customer", "sum", "note"], *rows, *below]:
        book.active.append(row or [None])
    file = tmp_path / "book.xlsx"
    book.save(file)
    options = headers.of_workbook(file, 20)
    assert options.keys() == {*(["skiprows"] if above else []), *(["skipfooter"] if below else [])}
    read = pd.read_excel(file, **options)
    assert [*read] == ["no", "customer", "sum", "note"] and len(read) == 30


def test_gaps_inside_of_a_workbook_end_nothing(tmp_path):
    book = Workbook()
    for row in [["no", "sum"], *[[number, 5.5] for number in range(30)], [None], [30, 5.5]]:
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    assert headers.of_workbook(tmp_path / "book.xlsx", 20) == {}
