"""Rolling means see what was known before a tick, and nothing else."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack.kit import rolling

START = pd.Timestamp("2024-01-01", tz="UTC")
DAY = pd.Timedelta(days=1)
WINDOWS = {"1d": 1, "3d": 3}


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(5)
    at = START + pd.to_timedelta(np.sort(random.uniform(0, 20, 400)), unit="D")
    sold = random.normal(10, 3, 400)
    sold[random.uniform(size=400) < 0.1] = np.nan
    return pd.DataFrame({"shop": random.choice(["a", "b", "c"], 400), "sold": sold, "available_at": at.as_unit("us")})


def features(rows, since, until):
    known = rows["available_at"]
    seen = rows[(known > since - 3 * DAY) & (known <= until)]
    return rolling.means(seen, "shop", ["sold"], since, until, tick=DAY, windows=WINDOWS)


def test_a_mean_is_that_of_the_rows_known_before_the_tick(rows):
    means = features(rows, START, START + timedelta(days=25)).set_index(["event_timestamp", "shop"])
    assert means.index.is_unique
    for (tick, shop), row in means.iterrows():
        for window, days in WINDOWS.items():
            at = rows["available_at"]
            seen = rows[(rows["shop"] == shop) & (at >= tick - days * DAY) & (at < tick)]
            assert row[f"shop_rows_{window}"] == len(seen)
            assert row[f"shop_sold_{window}"] == pytest.approx(seen["sold"].mean(), rel=1e-6, nan_ok=True)
    assert means.index.get_level_values(0).max() == START + timedelta(days=22)


def test_piece_by_piece_gives_the_same_values_to_the_bit(rows):
    whole = features(rows, START, START + timedelta(days=20))
    edges = [START + timedelta(hours=31) * n for n in range(17)]
    pieces = [features(rows, since, until) for since, until in zip(edges, edges[1:], strict=False)]
    cut = whole[whole["event_timestamp"] <= edges[-1]].reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.concat([p for p in pieces if len(p)], ignore_index=True), cut, check_exact=True)


def test_what_is_not_yet_known_changes_nothing(rows):
    until = START + timedelta(days=9)
    blind = rows[rows["available_at"] <= until]
    pd.testing.assert_frame_equal(features(rows, START, until), features(blind, START, until), check_exact=True)


def test_no_rows_make_an_empty_table_with_its_columns(rows):
    means = features(rows.iloc[:0], START, START + timedelta(days=3))
    assert means.empty
    assert [*means] == ["shop", "event_timestamp", "shop_rows_1d", "shop_rows_3d", "shop_sold_1d", "shop_sold_3d"]
