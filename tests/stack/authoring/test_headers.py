"""Where a file has its column names, and what separates them."""

import pandas as pd
import pytest
from openpyxl import Workbook

from stack.authoring.scaffold import headers

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
    options = headers.of_workbook(file)
    assert options.keys() == {*(["skiprows"] if above else []), *(["skipfooter"] if below else [])}
    read = pd.read_excel(file, **options)
    assert [*read] == ["no", "customer", "sum", "note"] and len(read) == 30


def test_gaps_inside_of_a_workbook_end_nothing(tmp_path):
    book = Workbook()
    for row in [["no", "sum"], *[[number, 5.5] for number in range(30)], [None], [30, 5.5]]:
        book.active.append(row)
    book.save(tmp_path / "book.xlsx")
    assert headers.of_workbook(tmp_path / "book.xlsx") == {}
