"""A series is recognised, and what is no series is not forecast."""

import numpy as np
import pandas as pd
import pytest
import yaml

from stack.authoring import check
from stack.authoring.scaffold import project as scaffold
from stack.authoring.scaffold.wishes import Wishes
from stack.core.errors import StackError
from tests.stack.authoring.scaffolds import NOW, Folder, sales


@pytest.fixture
def folder(tmp_path, monkeypatch):
    return Folder(tmp_path, monkeypatch)


def series(every: str, days: int = 60, rooms: int = 1) -> pd.DataFrame:
    at = pd.date_range("2025-04-01", periods=int(pd.Timedelta(days, "D") / pd.Timedelta(every)), freq=every)
    parts = [
        pd.DataFrame({"time": at, "power": np.random.default_rng(room).normal(5, 1, len(at))}) for room in range(rooms)
    ]
    if rooms == 1:
        return parts[0]
    return pd.concat([part.assign(room=f"room {number}") for number, part in enumerate(parts)])


def written(folder: Folder, name: str, table: pd.DataFrame, **wishes) -> dict:
    return yaml.safe_load((folder.write(name, table, **wishes).folder / "project.yaml").read_text())


@pytest.mark.parametrize(("every", "forecast"), [("1h", ("1h", 24)), ("30min", ("30min", 48)), ("1D", ("1d", 7))])
def test_a_table_of_instants_and_values_is_a_forecast(folder, every, forecast):
    spec = written(folder, "power", series(every, 90))
    assert (spec["task"], spec["forecast"]["every"], spec["forecast"]["steps"]) == ("forecast", *forecast)
    assert spec["schedules"]["predict"]
    assert "features" not in spec


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (series("7D", 700), "rows over 693 days, mostly 7 days apart"),
        (series("1h", 10), "rows over 10 days$"),
        (series("1h").assign(time=range(1440)), "a table without the instant of a row"),
        (series("1h").sample(frac=0.3, random_state=1), "rows over 60 days, at irregular instants"),
    ],
)
def test_rows_that_are_no_series_are_described(folder, table, found):
    with pytest.raises(StackError, match=rf"(?m)found +{found}"):
        folder.write("none", table, target="power", task="forecast")


def test_an_hour_that_comes_twice_wants_the_zone_of_the_clock(folder):
    at = pd.date_range("2024-09-15", "2024-11-15", freq="1h", tz="Europe/Berlin").tz_localize(None)
    table = pd.DataFrame({"time": at, "power": np.random.default_rng(1).normal(5, 1, len(at))})
    folder.write("autumn", table, target="power")
    (finding,) = check.findings("autumn", NOW)
    assert "2 rows that share a key" in str(finding) and "ZONE=Europe/Berlin" in finding.todo
    folder.write("zoned", table, target="power", zone="Europe/Berlin")
    assert check.findings("zoned", NOW) == []


def test_series_of_several_keys_with_gaps(folder):
    table = series("1h", rooms=3).sample(frac=0.9, random_state=0).sort_values(["time", "room"])
    spec = written(folder, "power", table, target="power", keys="room")
    assert spec["task"] == "forecast"
    assert spec["columns"]["room"]["role"] == "key"
    assert spec["source"]["key"] == ["room", "time"]


def test_other_columns_are_known_up_to_now_or_ahead_as_the_user_says(folder):
    table = series("1h").assign(
        outside=np.random.default_rng(1).normal(8, 3, 1440), tariff=1.5, holiday=np.arange(1440) % 2, sky="clear"
    )
    table.loc[3, "sky"] = "rain"
    plain = folder.write("plain", table, target="power")
    assert any("TASK=forecast" in note for note in plain.notes)
    assert yaml.safe_load((plain.folder / "project.yaml").read_text())["task"] == "regression"
    spec = written(folder, "power", table, target="power", task="forecast", ahead="holiday", steps=12)
    assert spec["forecast"] == {"every": "1h", "steps": 12}
    assert spec["columns"]["outside"]["role"] == "later"
    assert "role" not in spec["columns"]["holiday"]
    assert "sky" not in spec["columns"]
    assert "predict" not in spec["schedules"], "a request has to say whether it is a holiday"


def test_a_change_of_the_clocks_leaves_a_daily_series_one(folder):
    at = pd.date_range("2025-03-01", periods=80, freq="D", tz="Europe/Berlin")
    table = pd.DataFrame({"time": at.astype(str), "power": np.random.default_rng(0).normal(5, 1, 80)})
    assert written(folder, "power", table, target="power")["forecast"] == {"every": "1d", "steps": 7}


@pytest.mark.parametrize("table", [sales(), series("1h", 20), series("7h", 90)])
def test_what_is_no_series_is_not_forecast_and_a_wish_for_it_says_why(folder, table):
    target = "units" if "units" in table else "power"
    assert written(folder, "plain", table, target=target)["task"] == "regression"
    with pytest.raises(StackError, match="regular instants"):
        folder.write("power", table, target=target, task="forecast")


def test_what_is_measured_is_a_likelier_target_than_what_the_first_column_with_words_holds(folder):
    table = series("1h", rooms=2)[["time", "room", "power"]].assign(heat=1.5 * np.arange(2 * 1440) % 7)
    table.to_csv(folder.root / "rooms.csv", index=False)
    with pytest.raises(StackError, match=r"plausible are heat \(it is the last column\)"):
        scaffold.write("unnamed", folder.root / "rooms.csv", Wishes(), NOW, None)
