"""What gives the outcome away is found by its columns; what only helps is not."""

import numpy as np
import pandas as pd
import pytest

from stack.promotion import leaks

ROWS = 900


@pytest.fixture
def table():
    random = np.random.default_rng(1)
    columns = pd.DataFrame(random.gamma(3, 10, (ROWS, 4)).round(1), columns=list("abcd"))
    return columns.assign(town=random.choice(["Bath", "Cork", "Rome"], ROWS))


def found(table, target, **options):
    options = {"classes": False, "by_time": False} | options
    return {column for leak in leaks.find(table, pd.Series(target), **options) for column in leak.columns}


@pytest.mark.parametrize(
    ("make", "columns"),
    [
        (lambda t: t["a"] + t["b"], {"a", "b"}),
        (lambda t: t["a"] - t["c"], {"a", "c"}),
        (lambda t: (t["a"] + t["b"] + t["d"]).round(), {"a", "b", "d"}),
        (lambda t: t["a"] / t["b"], {"a", "b"}),
        (lambda t: t["c"] * t["d"], {"c", "d"}),
        (lambda t: ((t["a"] - t["b"]) / t["c"]).round(3), {"a", "b", "c"}),
        (lambda t: (t["a"] - t["b"]) * t["d"], {"a", "b", "d"}),
        (lambda t: (1.8 * t["b"] + 32).round(1), {"b"}),
        (lambda t: np.log(t["c"]), {"c"}),
    ],
)
@pytest.mark.parametrize("by_time", [True, False])
def test_a_number_that_follows_from_columns(table, make, columns, by_time):
    assert found(table, make(table), by_time=by_time) == columns


def test_a_number_that_columns_only_help_to_predict(table):
    random = np.random.default_rng(2)
    target = table["a"] + 2 * table["b"] + 5 * (table["town"] == "Rome") + random.normal(0, 5, ROWS)
    assert found(table, target) == found(table, target, by_time=True) == set()
    trend = pd.Series(np.arange(ROWS) + random.normal(0, 3, ROWS))
    assert found(table.assign(year=np.arange(ROWS) // 10), trend, by_time=True) == set()
    growing = {name: np.arange(ROWS) + random.normal(0, 8, ROWS) for name in ("year", "wages", "prices")}
    assert found(table.assign(**growing), np.arange(ROWS) + random.normal(0, 8, ROWS)) == set()


def test_a_column_of_one_value_tells_nothing(table):
    random = np.random.default_rng(5)
    target = (table["a"] - table["b"]) / table["c"]
    assert found(table.assign(weekday=5), target) == {"a", "b", "c"}
    assert found(table.assign(weekday=5), table["a"] + random.gamma(3, 5, ROWS), by_time=True) == set()


def test_a_failure_of_any_kind_is_what_its_kinds_say(table):
    random = np.random.default_rng(2)
    kinds = {name: random.random(ROWS) < 0.04 for name in ("worn", "hot", "torn")}
    failed = np.logical_or.reduce([*kinds.values()])
    assert found(table.assign(**kinds), failed.astype(float), classes=True) == {*kinds}
    by_chance = failed | (random.random(ROWS) < 0.05)
    assert not found(table.assign(**kinds), by_chance.astype(float), classes=True)


def test_a_class_under_another_name(table):
    outcome = (np.random.default_rng(3).random(ROWS) < 0.2).astype(float)
    named = table.assign(reason=np.where(outcome == 1, "left", "stays"), paid=np.where(outcome == 1, 5.0, np.nan))
    assert found(named, outcome, classes=True) == {"reason", "paid"}


def test_a_column_with_gaps_that_do_not_depend_on_the_outcome(table):
    random = np.random.default_rng(4)
    outcome = (random.random(ROWS) < 0.3).astype(float)
    gaps = table.assign(cabin=np.where(random.random(ROWS) < 0.3 + 0.3 * outcome, table["a"], np.nan))
    assert found(gaps, outcome, classes=True) == set()


@pytest.mark.parametrize("values", [[], [1.0] * 50, [np.nan] * 50])
def test_a_target_that_says_nothing(values):
    assert found(pd.DataFrame({"a": range(len(values))}), np.array(values)) == set()
