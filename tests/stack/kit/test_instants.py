"""Instants without a zone, in the hour that comes twice when the clocks go back."""

import pandas as pd
import pytest

from stack.kit import instants

NIGHT = pd.date_range("2024-10-26", "2024-10-28", freq="15min", tz="Europe/Berlin")


def local(at: pd.DatetimeIndex) -> pd.Series:
    return pd.Series(at.tz_localize(None))


def utc(at: pd.DatetimeIndex) -> list[pd.Timestamp]:
    return at.tz_convert("UTC").tolist()


@pytest.mark.parametrize("order", [1, -1], ids=["oldest first", "newest first"])
@pytest.mark.parametrize("every", [1, 4], ids=["quarters", "hours"])
@pytest.mark.parametrize("rooms", [1, 3])
def test_rows_in_the_order_of_time_say_which_hour_is_meant(order, every, rooms):
    at = NIGHT[::every].repeat(rooms)[::order]
    assert instants.in_utc(local(at), "Europe/Berlin").tolist() == utc(at)


def test_each_series_of_a_table_steps_back_for_itself():
    twice = pd.Series([*local(NIGHT), *local(NIGHT)])
    assert instants.in_utc(twice, "Europe/Berlin").tolist() == utc(NIGHT) * 2


def test_a_time_that_comes_as_often_as_others_is_the_first():
    once = local(NIGHT[::4]).drop_duplicates()
    for rooms in (1, 2):
        read = instants.in_utc(once.repeat(rooms).reset_index(drop=True), "Europe/Berlin")
        assert read.nunique() == len(once) and pd.Timestamp("2024-10-27T01:00Z") not in read.tolist()


def test_missing_instants_stay_missing():
    at = local(NIGHT)
    at.iloc[[3, 105]] = pd.NaT
    read = instants.in_utc(at, "Europe/Berlin")
    assert read.isna().sum() == 2 and read.dropna().is_monotonic_increasing and read.dropna().is_unique


def test_rows_in_no_order_mean_the_first_hour():
    at = local(NIGHT).sample(frac=1, random_state=1)
    read = instants.in_utc(at, "Europe/Berlin")
    assert not read.between("2024-10-27T01:00Z", "2024-10-27T01:59Z").any()


def test_an_hour_that_is_skipped_moves_forward():
    (read,) = instants.in_utc(pd.Series(pd.to_datetime(["2024-03-31 02:30"])), "Europe/Berlin")
    assert read == pd.Timestamp("2024-03-31T01:00Z")
