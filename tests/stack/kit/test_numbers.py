"""Numbers that are written with their unit."""

import pandas as pd
import pytest

from stack.kit.numbers import without_unit


@pytest.mark.parametrize(
    ("texts", "unit", "decimal", "numbers"),
    [
        (["$1,234.50", "-$3", None, "$ .5"], "$", ".", [1234.5, -3.0, None, 0.5]),
        (["12 %", "7%", " 1e2 % "], "%", ".", [12.0, 7.0, 100.0]),
        (["07:30", "6:15:00 PM", None, "3 h"], "h", ".", [7.5, 18.25, None, 3.0]),
        (["1.234,5 €", "€ 2", "3"], "€", ",", [1234.5, 2.0, 3.0]),
    ],
)
def test_texts_with_a_unit_are_numbers(texts, unit, decimal, numbers):
    pd.testing.assert_series_equal(without_unit(pd.Series(texts), unit, decimal), pd.Series(numbers, dtype="float64"))


def test_durations_are_seconds():
    values = pd.Series(pd.to_timedelta(["90s", None, "1h"]))
    pd.testing.assert_series_equal(without_unit(values, "s"), pd.Series([90.0, None, 3600.0]))


def test_what_is_no_such_number_stays_as_it_is():
    assert without_unit(pd.Series(["7 %", "1,5 %", "7 kg", "%"]), "%").tolist() == [7.0, "1,5 %", "7 kg", "%"]
    assert without_unit(pd.Series([1, 2]), "%").tolist() == [1, 2]
