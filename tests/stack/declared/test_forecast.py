from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.declared import forecast
from stack.specification import forecasts, specs

START = pd.Timestamp("2024-03-20", tz="UTC")
"""Some days before the clocks change in Berlin."""
EVERY = {"1h": 24, "30min": 48, "1d": 1}


def spec(every="1h", steps=24, *, keyed=True, **changes):
    key = {"room": {"type": "string", "role": "key", "example": "hall"}} if keyed else {}
    raw = {
        "name": "heat",
        "title": "How warm will it be?",
        "task": "forecast",
        "label": "warmth",
        "source": {"path": "heat.csv", "zone": "Europe/Berlin"},
        "forecast": {"every": every, "steps": steps},
        "columns": key
        | {
            "at": {"type": "datetime", "role": "time", "example": "2024-03-20T00:00:00Z"},
            "warmth": {},
            "sun": {"example": 0.5},
            "load": {"role": "later"},
        },
    }
    return specs.parse(raw | changes, Path("heat/project.yaml"))


def series(every="1h", days=20, *, late=0.0, gaps=0.1, keyed=True, seed=1):
    """Return two series with gaps, some of whose values became known up to two days late."""
    random, step = np.random.default_rng(seed), pd.Timedelta(every)
    parts = []
    for room in ("hall", "attic")[: 1 + keyed]:
        at = pd.date_range(START, START + days * pd.Timedelta("1D"), freq=step)
        at = at[random.random(len(at)) >= gaps]
        wait = np.where(random.random(len(at)) < late, random.integers(1, 48, len(at)), 0)
        parts.append(
            pd.DataFrame(
                {
                    "room": room,
                    "at": at,
                    "warmth": random.normal(20, 5, len(at)).round(2),
                    "sun": random.random(len(at)).round(2),
                    "load": random.random(len(at)).round(2),
                    "available_at": at + pd.to_timedelta(wait, unit="h"),
                }
            )
        )
    rows = pd.concat(parts, ignore_index=True).astype(
        {"at": "datetime64[us, UTC]", "available_at": "datetime64[us, UTC]"}
    )
    rows["row"] = range(len(rows))
    return (rows if keyed else rows.drop(columns="room")).sort_values("available_at", ignore_index=True)


def as_of(frame, keys, instant):
    """Return the newest row of some keys at an instant, as a point-in-time join finds it; None without one."""
    rows = frame[frame["event_timestamp"] <= instant]
    for name, value in keys.items():
        rows = rows[rows[name] == value]
    return None if rows.empty else rows.sort_values("event_timestamp").iloc[-1]


def mean(values):
    return values.mean() if len(values) else np.nan


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_feature_is_what_its_definition_gives_from_the_rows_known_at_an_instant(every, late):
    project, rows, step = spec(every, 7), series(every, 20 if every != "1d" else 90, late=late), pd.Timedelta(every)
    tables = forecast.of(project).build(
        {"rows": rows}, datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    )
    slots = pd.DataFrame(forecasts.slots(project, rows["at"].tolist()))
    rows, a_day = rows.join(slots), EVERY[every]
    for instant in rows["available_at"].iloc[len(rows) // 3 :].sample(15, random_state=0):
        known = rows[(rows["room"] == "hall") & (rows["available_at"] <= instant)].set_index("at").sort_index()
        stored = as_of(tables["heat_by_series"], {"room": "hall"}, instant)
        newest = known.index[-1]
        # A day of the local clock is a step, whether it has 23, 24 or 25 hours.
        local = known.index.tz_convert("Europe/Berlin").tz_localize(None).normalize() if every == "1d" else known.index
        back = local[-1] - local
        assert stored["warmth_last"] == pytest.approx(known["warmth"].iloc[-1])
        assert stored["load_last"] == pytest.approx(known["load"].iloc[-1])
        assert stored["warmth_last_at"] == newest.timestamp() / 3600
        for lag in project.forecast.lags:
            then = known["warmth"][back.floor(step) == lag * step]
            assert stored[f"warmth_lag_{lag}_value"] == pytest.approx(mean(then), nan_ok=True)
        week = known["warmth"][back.floor(step) < 7 * a_day * step]
        assert stored["warmth_mean_week_value"] == pytest.approx(week.mean(), rel=1e-6)
        for kind, (name, _, reach) in forecast.SAME.items():
            if kind not in forecast.views(project):
                continue
            slot = forecast.join_keys(project)[kind][-1]
            wanted = int(known[slot].iloc[len(known) // 2])
            found = as_of(tables[f"heat_by_{kind}"], {"room": "hall", slot: wanted}, instant)
            same = known[known[slot] == wanted]
            same = same[same.index[-1] - same.index < pd.Timedelta(reach)]["warmth"]
            assert found[f"warmth_{name}_value"] == pytest.approx(same.iloc[-1])
            assert found[f"warmth_{name}_mean_value"] == pytest.approx(same.mean(), rel=1e-6)


@pytest.mark.parametrize("every", EVERY)
@pytest.mark.parametrize("keyed", [True, False])
def test_windows_one_after_the_other_give_what_one_window_gives(every, keyed):
    project, rows = spec(every, 7, keyed=keyed), series(every, 70, late=0.2, keyed=keyed)
    features = forecast.of(project)
    ends = pd.date_range(START - pd.Timedelta("1D"), START + pd.Timedelta("75D"), freq="53h").to_pydatetime()
    whole = features.build({"rows": rows}, ends[0], ends[-1])
    parts = []
    for since, until in zip(ends[:-1], ends[1:], strict=True):
        near = (rows["available_at"] > since - features.LOOKBACK) & (rows["available_at"] <= until)
        parts.append(features.build({"rows": rows[near]}, since, until))
    for view, frame in whole.items():
        keys = [*frame.columns[: frame.columns.get_loc("event_timestamp") + 1]]
        joined = pd.concat([part[view] for part in parts])
        ours, theirs = (frame_.sort_values(keys, ignore_index=True) for frame_ in (frame, joined))
        pd.testing.assert_frame_equal(ours, theirs, check_dtype=False)


def test_a_value_that_comes_weeks_late_does_not_take_the_place_of_the_present():
    project, rows = spec(), series(gaps=0)
    old = rows.iloc[:1].assign(available_at=rows["available_at"].max(), warmth=-99.0)
    table = forecast.of(project).build(
        {"rows": pd.concat([rows.iloc[1:], old])}, datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
    )["heat_by_series"]
    assert -99.0 not in table["warmth_last"].to_numpy()


def test_questions_ask_about_each_value_some_steps_before_it():
    project, rows = spec(steps=24), series(gaps=0)
    events = forecast.of(project).events({"rows": rows})
    step = (events["at"] - events["event_timestamp"]) / pd.Timedelta("1h")
    assert len(events) == 4 * len(rows)
    assert events["event_id"].is_unique
    assert set(step) == set(range(1, 25))
    assert step.value_counts().max() < 1.5 * step.value_counts().min()
    assert (events["label_available_at"] == events["available_at"]).all()
    assert len(forecast.of(spec(steps=7)).events({"rows": rows})) == 7 * len(rows)


@pytest.mark.parametrize("steps", [1, 3, 5, 9, 10, 25, 47, 168])
def test_every_step_of_a_horizon_is_learnt_about_as_often_as_another(steps):
    project, rows = spec(steps=steps), series(gaps=0, days=80, keyed=False)
    events = forecast.of(project).events({"rows": rows})
    count = ((events["at"] - events["event_timestamp"]) / pd.Timedelta("1h")).round().astype(int).value_counts()
    assert sorted(count.index) == [*range(1, steps + 1)]
    assert count.max() < 2 * count.min()


def test_hours_and_weekdays_are_of_the_local_clock_also_where_it_changes():
    project = spec()
    instants = [datetime(2024, 3, 30, 22, tzinfo=UTC), datetime(2024, 3, 31, 22, tzinfo=UTC)]
    # 23:00 on Saturday in winter time, midnight on Monday in summer time.
    assert forecasts.slots(project, instants) == {"at_of_day": [23, 0], "at_of_week": [5 * 24 + 23, 0]}
    days = forecasts.targets(spec("1d", 3), datetime(2024, 3, 29, 12, tzinfo=UTC))
    assert [day.isoformat() for day in days] == [
        "2024-03-29T23:00:00+00:00",
        "2024-03-30T23:00:00+00:00",
        "2024-03-31T22:00:00+00:00",
    ]
    hours = forecasts.targets(project, datetime(2024, 3, 31, 0, 20, tzinfo=UTC))
    assert hours[:3] == [datetime(2024, 3, 31, hour, tzinfo=UTC) for hour in (1, 2, 3)]
    assert len(hours) == 24


def test_features_of_a_request_follow_from_the_past_and_the_calendar():
    project = spec()
    stored = {name: [1.0, None] for names in forecast.schema(project).values() for name in names}
    columns = stored | {
        "at": [datetime(2024, 3, 31, 10, tzinfo=UTC)] * 2,
        "room": ["hall", "new"],
        "sun": [0.5, None],
        "warmth_last": [20.0, None],
        "warmth_last_at": [datetime(2024, 3, 31, 8, tzinfo=UTC).timestamp() / 3600, None],
    }
    found = forecast.of(project).on_request(columns)
    assert set(found) == set(project.features.columns) - {"warmth_last", "load_last"}
    assert found["at_ahead"][0] == 2
    assert found["at_hour"] == [12, 12]
    assert found["at_weekday"] == [6, 6]
    assert found["warmth_lag_1"][0] == -19
    assert np.isnan(found["warmth_lag_1"][1])
    assert found["sun"] == [0.5, None]


WRONG = [
    ({"forecast": None}, "key forecast: found None expected how far apart"),
    ({"task": "regression"}, "expected with `task: forecast` alone"),
    ({"forecast": {"every": "7h", "steps": 3}}, "a part of a day"),
    ({"forecast": {"every": "1h", "steps": 0}}, "steps"),
    ({"forecast": {"every": "1h", "steps": 3, "zone": "Berlin"}}, "Europe/Berlin"),
    ({"features": {"formulas": {"x": "hour(at)"}}}, "key features.formulas: found the keys x expected none"),
    ({"training": {"split": "random"}}, "expected time, as a forecast"),
]


@pytest.mark.parametrize(("changes", "expected"), WRONG)
def test_a_wrong_section_says_what_is_expected(changes, expected):
    with pytest.raises(StackError) as raised:
        spec(**changes)
    assert expected in " ".join(str(raised.value).split())


def test_the_horizon_may_be_written_in_words_or_as_iso_8601():
    assert spec("15min").forecast.every == spec("PT15M").forecast.every == timedelta(minutes=15)
    assert spec("1h", 48).forecast.horizon == timedelta(days=2)
