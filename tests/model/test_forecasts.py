"""Forecasts from a series to an answer: the same features online and offline, a backtest, and the gate."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import yaml

from stack.core.settings import Settings
from stack.features import datasets, feature_tables, features
from stack.features.online import OnlineFeatures
from stack.project import Project
from stack.promotion import naive
from stack.serving.served import ServedModel
from stack.specification import forecasts, specs
from stack.training import backtest, candidates, evaluation, splits
from stack.training.export import export
from tests.stack.authoring.scaffolds import Folder

START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 5, 1, tzinfo=UTC)
HOURS = pd.date_range(START, END, freq="h", inclusive="left")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        yield Folder(tmp_path_factory.mktemp("forecasts"), patch)


def project(folder: Folder, name: str, values: pd.DataFrame, **forecast) -> Project:
    """Write and open the project of a series, whose feature tables hold all of it."""
    place = folder.root / "projects" / name
    place.mkdir()
    values.assign(at=values["at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")).to_csv(place / "rows.csv", index=False)
    sun = {"sun": {"example": 0.5}} if "sun" in values else {}
    key = {"room": {"type": "string", "role": "key", "example": "hall"}} if "room" in values else {}
    raw = {
        "name": name,
        "title": "How warm will it be?",
        "task": "forecast",
        "label": "warmth",
        "clock": {"start": START.isoformat()},
        "source": {"path": "rows.csv"},
        "forecast": {"every": "1h", "steps": 24} | forecast,
        "columns": {"at": {"type": "datetime", "role": "time", "example": "2024-03-01T00:00:00Z"}, "warmth": {}}
        | key
        | sun,
    }
    (place / "project.yaml").write_text(yaml.safe_dump(raw, sort_keys=False))
    opened = Project(Settings(home=folder.root / f"home_{name}"), specs.load(name))
    features.apply_alone(opened)
    return opened


def fill(project: Project, until: datetime) -> pd.DataFrame:
    """Build the feature tables up to an instant; return the labelled questions with their features."""
    tables = project.source.fetch(START - timedelta(days=1), until)
    for view, frame in project.features.build(tables, START - timedelta(days=1), until).items():
        feature_tables.replace(feature_tables.folder(project) / view, frame, START - timedelta(days=1), until)
    return features.training_set(project, datasets.answered(project.spec, tables, until))


def answered(project: Project, rows: pd.DataFrame) -> tuple[pd.DataFrame, splits.Split]:
    """Return the backtest of a gradient boosting, and the split."""
    spec, parts = project.spec, []
    split = splits.holdout(spec, rows, END)
    known = candidates.available(spec, len(split.fit))["gradient_boosting"].initial_params
    for part in splits.backtests(spec, split):
        pipeline = candidates.fit(spec, "gradient_boosting", dict(known), part.fit)
        answer = evaluation.tasks.of(spec).predict(pipeline, candidates.frame(spec, part.test))
        parts.append(evaluation.answered(spec, part.test, answer))
    return pd.concat(parts), split


def daily(noise: float = 0.5, seed: int = 0) -> np.ndarray:
    """Return a series with a course of the day that depends on the day of the week, and with noise."""
    hour, weekend = np.asarray(HOURS.hour), np.asarray(HOURS.weekday >= 5)
    course = 20 + 5 * np.sin((hour - 6) * 2 * np.pi / 24) * np.where(weekend, 0.3, 1)
    return course + np.random.default_rng(seed).normal(0, noise, len(HOURS))


def test_features_online_are_those_offline_for_the_same_instant(folder):
    random, parts = np.random.default_rng(3), []
    for room in ("hall", "attic"):
        kept = random.random(len(HOURS)) > 0.05
        parts.append(
            pd.DataFrame({"room": room, "at": HOURS, "warmth": daily(), "sun": random.random(len(HOURS))})[kept]
        )
    opened, until = project(folder, "rooms", pd.concat(parts).sort_values("at")), datetime(2024, 4, 1, 10, tzinfo=UTC)
    fill(opened, until)
    features.materialise(opened, START, until)
    reader, now = OnlineFeatures(opened), until + timedelta(minutes=20)
    asked = [
        {"room": room, "at": at, "sun": 0.25}
        for room in ("hall", "attic", "new")
        for at in forecasts.targets(opened.spec, now)
    ]
    read = reader.read(asked, now)
    online = pd.DataFrame(read.columns)
    events = pd.DataFrame(asked).astype({"at": "datetime64[us, UTC]"}).assign(event_timestamp=pd.Timestamp(now))
    offline = features.training_set(opened, events)[[*opened.spec.features.columns]]
    online = online.astype(offline.dtypes.to_dict())
    pd.testing.assert_frame_equal(online, offline, check_exact=True)
    assert set(offline["at_ahead"][:24]) == {hour for hour in range(1, 25)}
    assert offline["warmth_last"][48:].isna().all()
    assert all(until - timedelta(hours=6) < time <= now for time in read.times[:48]) and set(read.times[48:]) == {None}


def test_a_course_of_the_day_is_learnt_and_beats_what_needs_no_model(folder):
    opened = project(folder, "course", pd.DataFrame({"at": HOURS, "warmth": daily()}))
    rows = fill(opened, END)
    held, split = answered(opened, rows)
    best = naive.compare(opened.spec, held)[0]
    error = abs(held["prediction"] - held["warmth"]).mean()
    assert error < 0.85 * best.error
    assert best.difference.high < 0
    table = backtest.by_step(opened.spec, held, split.fit)
    assert [*table.index] == [*range(1, 25)]
    assert table["rows"].sum() == len(held)
    found = backtest.metrics(opened.spec, held, split.fit)
    assert found["mase"] < 1
    assert found["mae.the_same_time_last_week"] == pytest.approx(np.sqrt(2) * 0.5 * np.sqrt(2 / np.pi), rel=0.15)


NOTHING = {
    "walk": np.random.default_rng(1).normal(0, 1, len(HOURS)).cumsum(),
    "noise": np.random.default_rng(2).normal(10, 1, len(HOURS)),
}


@pytest.mark.parametrize(("name", "best"), [("walk", "the last value"), ("noise", "the mean of the last week")])
def test_the_gate_refuses_what_nothing_beats_and_names_the_forecast_that_needs_no_model(folder, name, best):
    from stack.promotion import gate

    opened = project(folder, name, pd.DataFrame({"at": HOURS, "warmth": NOTHING[name]}))
    held, split = answered(opened, fill(opened, END))
    assert naive.compare(opened.spec, held)[0].name == best
    baseline = evaluation.tasks.of(opened.spec).baseline(split.fit["warmth"])
    decision = gate.judge(opened.spec, "1", held, baseline=baseline, served_difference=0, latency_ms=1)
    assert not decision.passed
    assert f"against {best}" in decision.reason


def test_a_backtest_is_fitted_on_what_was_known_at_the_start_of_each_week(folder):
    opened = Project(Settings(home=folder.root / "home_course"), specs.load("course"))
    rows = datasets.answered(opened.spec, opened.source.fetch(START, END), END)
    split = splits.holdout(opened.spec, rows, END)
    parts = list(splits.backtests(opened.spec, split))
    assert len(parts) == 4
    assert sorted(pd.concat([part.test for part in parts])["event_id"]) == sorted(split.test["event_id"])
    for part in parts:
        assert (part.fit["label_available_at"] <= part.boundary).all()
        assert (part.test["event_timestamp"] > part.boundary).all()


def test_the_served_form_answers_as_the_pipeline_also_for_a_new_series(folder, tmp_path):
    opened = Project(Settings(home=folder.root / "home_course"), specs.load("course"))
    spec, rows = opened.spec, fill(opened, END)
    pipeline = candidates.fit(spec, "gradient_boosting", {"max_iter": 20}, rows)
    served = export(pipeline, spec, tmp_path, rows.head(500))
    assert served.form == "onnx"
    unknown = rows.head(3).assign(**dict.fromkeys((name for name in spec.features.columns if "warmth" in name), np.nan))
    for some in (rows.tail(50), unknown):
        answer = ServedModel(tmp_path).predict({name: some[name] for name in spec.features.columns})
        np.testing.assert_allclose(
            answer, evaluation.tasks.of(spec).predict(pipeline, candidates.frame(spec, some)), rtol=1e-5, atol=1e-5
        )


def test_the_near_steps_are_not_left_to_chance_for_the_far_ones(folder):
    """Of a series that wanders, the last value is nearly right at first; a fit on plain errors would miss that."""
    random, wander = np.random.default_rng(4), np.zeros(len(HOURS))
    for hour in range(1, len(HOURS)):
        wander[hour] = 0.98 * wander[hour - 1] + random.normal(0, 1)
    opened = project(folder, "wander", pd.DataFrame({"at": HOURS, "warmth": wander}))
    held, split = answered(opened, fill(opened, END))
    table = backtest.by_step(opened.spec, held, split.fit)
    assert table.loc[1, "mae"] < 1.25 * table.loc[1, "the last value"]
    assert table.loc[24, "mae"] < table.loc[24, "the last value"]


def test_a_due_champion_gives_way_to_what_beats_the_naive_forecasts_without_certainty(folder):
    from stack.promotion import gate
    from stack.promotion.comparison import CHAMPION_SUFFIX, ChampionComparison

    opened = Project(Settings(home=folder.root / "home_course"), specs.load("course"))
    rows = fill(opened, END).sort_values("event_timestamp").tail(600)
    week = rows["warmth_last"] + rows["warmth_same_weekday"]
    held = rows.assign(prediction=rows["warmth"] + 0.9 * (week - rows["warmth"]))
    figures = {"baseline": np.array([20.0]), "served_difference": 0, "latency_ms": 1}
    for age, kinds in ((timedelta(days=1), 2), (timedelta(days=400), 1)):
        champion = held.assign(**{f"prediction{CHAMPION_SUFFIX}": held["prediction"] + 9})
        comparison = ChampionComparison("1", "Compared.", age, champion)
        decision = gate.judge(opened.spec, "2", held, **figures, comparison=comparison)
        assert sum(reason.kind == "naive" for reason in decision.reasons) == kinds


def test_the_folds_of_a_forecast_are_its_last_weeks(folder):
    opened = Project(Settings(home=folder.root / "home_course"), specs.load("course"))
    rows = datasets.answered(opened.spec, opened.source.fetch(START, END), END)
    split = splits.holdout(opened.spec, rows, END)
    first, second = splits.folds(opened.spec, split)
    assert first.boundary == split.boundary - timedelta(days=28)
    assert second.boundary == split.boundary - timedelta(days=14)
    assert first.test["event_timestamp"].min() > first.boundary
