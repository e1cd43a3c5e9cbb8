"""Intervals of numbers: they hold the share that project.yaml names, and are served as they were trained."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.prediction_log.predictions import Prediction
from stack.project import Project
from stack.registry.registry import Version
from stack.serving import corrections, observed
from stack.serving import intervals as served_intervals
from stack.serving.served import ServedModel
from stack.specification import specs, tasks
from stack.training import intervals, splits, training
from stack.training.search import TrialResult

START, DAYS = pd.Timestamp("2024-01-01", tz="UTC"), 100
CUTOFF = START + pd.Timedelta(days=DAYS)
BEST = TrialResult(1, "gradient_boosting", {"max_iter": 60})


def spec_of(**keys):
    raw = {
        "name": "gusts",
        "title": "How strong will the wind be?",
        "task": "regression",
        "label": "wind",
        "interval": 0.8,
        "tables": {"days": {"key": ["day"]}},
        "request": {"town": {"type": "string", "description": "Town", "example": "Bath"}},
        "features": {"service": "gusts_v1", "columns": {"height": "number", "town": "category", "before": "number"}},
        "training": {"candidates": ["gradient_boosting"]},
    }
    return specs.parse(raw | keys, Path("projects/gusts/project.yaml"))


def rows_of(count=4000, seed=3, spread=1.0, start=START, days=DAYS):
    """Winds whose spread grows with the height."""
    random = np.random.default_rng(seed)
    asked = (start + pd.to_timedelta(np.sort(random.uniform(0, days, count)), unit="D")).as_unit("us")
    height, before = random.uniform(0, 3, size=(2, count)).astype("float32")
    town = random.choice(["Bath", "Cork"], count)
    return pd.DataFrame(
        {
            "event_id": [f"{seed}-{number}" for number in range(count)],
            "event_timestamp": asked,
            "label_available_at": asked + pd.Timedelta(hours=1),
            "height": height,
            "town": town,
            "before": before,
            "wind": 10 + before + 3 * (town == "Cork") + spread * (0.3 + height) * random.normal(size=count),
        }
    )


def trained(spec, folder):
    """Write what a training writes; return its metrics."""
    rows = rows_of()
    metrics = training.evaluate(spec, splits.holdout(spec, rows, CUTOFF), BEST, folder)
    training.refit(spec, rows, BEST, folder, metrics.get("correction", 0.0))
    return metrics


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gusts")
    return folder, trained(spec_of(), folder)


def test_the_holdout_says_what_the_intervals_hold(written):
    folder, metrics = written
    assert metrics["coverage"] == pytest.approx(0.8, abs=0.03)
    rows = pd.read_parquet(folder / "holdout" / "holdout.parquet")
    assert served_intervals.coverage(rows["wind"], rows[["low", "high"]]) == pytest.approx(0.8, abs=0.03)
    assert (rows["high"] - rows["low"]).mean() == pytest.approx(metrics["width"])
    assert ((rows["low"] <= rows["prediction"]) & (rows["prediction"] <= rows["high"])).all()


def test_new_rows_are_inside_as_often_whatever_their_spread_is(written):
    model, rows = ServedModel(written[0] / "served"), rows_of(seed=9)
    answer = model.answer(rows)
    assert (answer[:, :1] == model.predict(rows)).all()
    assert ((answer[:, 1] <= answer[:, 0]) & (answer[:, 0] <= answer[:, 2])).all()
    assert (answer[:, 3] == written[1]["correction"]).all()
    high = rows["height"] > 1.5
    for part in (high, ~high):
        inside = served_intervals.coverage(rows["wind"][part], answer[part.to_numpy(), 1:3])
        assert inside == pytest.approx(0.8, abs=0.05)
    assert served_intervals.coverage(rows["wind"], answer[:, 1:3]) == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("offset", ["", "before"])
def test_the_served_ends_are_the_trained_ones(tmp_path, offset):
    spec, rows, others = spec_of(), rows_of(1000), rows_of(300, seed=5)
    spec = spec.model_copy(update={"features": spec.features.model_copy(update={"offset": offset})})
    others.loc[::3, "town"], others.loc[::4, "before"] = "York", np.nan
    training.refit(spec, rows, BEST, tmp_path, 0.25)
    answer = ServedModel(tmp_path / "served").answer(others)
    wanted = intervals.quantiles(spec, intervals.fit(spec, rows), others)
    low, high = np.minimum(wanted[:, 0] - 0.25, answer[:, 0]), np.maximum(wanted[:, 1] + 0.25, answer[:, 0])
    assert answer[:, 1:3] == pytest.approx(np.column_stack([low, high]), rel=1e-5)


def test_an_interval_is_as_wide_as_the_newest_errors(written):
    model, wider = ServedModel(written[0] / "served"), rows_of(seed=9, spread=2.0)
    assert served_intervals.coverage(wider["wind"], model.answer(wider)[:, 1:3]) < 0.6
    half, answer = np.arange(len(wider)) % 2 == 0, model.answer(wider)
    raw = answer[:, 1:3] + answer[:, 3:] * [1, -1]
    model.correction = served_intervals.correction(wider["wind"][half], raw[half], 0.8)
    other = wider[~half]
    assert served_intervals.coverage(other["wind"], model.answer(other)[:, 1:3]) == pytest.approx(0.8, abs=0.03)


def test_the_monitored_correction_follows_a_spread_that_doubles(written, tmp_path):
    project, model = Project(Settings(home=tmp_path), spec_of()), ServedModel(written[0] / "served")
    version, inside = Version("gusts", "1", "run", {"stack.cutoff": CUTOFF.isoformat()}), []
    assert corrections.update(project, version, observed.judged(project, version, CUTOFF), CUTOFF) is None
    for week in range(12):
        corrections.apply(project.settings, "gusts", "1", model)
        since = CUTOFF + pd.Timedelta(days=7 * week)
        rows = rows_of(400, seed=week + 20, spread=1 + (week >= 4), start=since, days=7)
        answers = ask(project, model, rows)
        inside.append(served_intervals.coverage(rows["wind"], [(reply["low"], reply["high"]) for reply in answers]))
        at = since + pd.Timedelta(days=7)
        assert corrections.update(project, version, observed.judged(project, version, at), at) is not None
    assert np.mean(inside[:4]) == pytest.approx(0.8, abs=0.03)
    assert inside[4] < 0.6
    assert np.mean(inside[5:]) == pytest.approx(0.8, abs=0.03)
    logged = project.log.read(CUTOFF, at)
    assert logged["correction"].nunique() > 5, "each answer says which correction is in it"
    assert (logged["low"] <= logged["prediction"]).all()


def ask(project, model, rows):
    """Log the model's answers to rows with their outcomes; return the answers."""
    answers = [project.task.reply(answer, 0.5) for answer in model.answer(rows).tolist()]
    asked = zip(rows.itertuples(), answers, strict=True)
    project.log.write(
        [
            Prediction(
                row.event_id,
                asked_at=row.event_timestamp.to_pydatetime(),
                answered_at=row.event_timestamp.to_pydatetime(),
                request={"town": row.town},
                features={"height": row.height, "town": row.town, "before": row.before},
                features_at=None,
                model_version="1",
                answer=answer,
            )
            for row, answer in asked
        ]
    )
    known = zip(rows["event_id"], rows["wind"], rows["label_available_at"], strict=True)
    project.log.label_predictions({name: (label, at.to_pydatetime()) for name, label, at in known})
    return answers


def test_answers_of_before_the_key_are_read_without_ends(tmp_path):
    project = Project(Settings(home=tmp_path), spec_of())
    ask(project, SimpleNamespace(answer=lambda rows: np.full((len(rows), 1), 9.0)), rows_of(60))
    logged = project.log.read(START - pd.Timedelta(days=1), CUTOFF)
    assert len(logged) == 60 and logged[["low", "high", "correction"]].isna().all(axis=None)
    version = Version("gusts", "1", "run", {"stack.cutoff": START.isoformat()})
    rows = observed.judged(project, version, CUTOFF)
    assert len(rows) == 60 and corrections.update(project, version, rows, CUTOFF) is None


def test_the_correction_is_a_quantile_of_what_is_outside():
    label, ends = np.arange(10.0), np.column_stack([np.zeros(10), np.full(10, 4.0)])
    assert served_intervals.correction(label, ends, 0.8) == 4, "the ninth of ten distances"
    assert served_intervals.correction(label, ends, 0.5) == 1.0
    assert served_intervals.correction(label, ends, 0.99) == 5, "of few rows the largest"


def test_without_the_key_there_are_none(tmp_path):
    metrics = trained(spec_of(interval=None), tmp_path)
    assert not {"coverage", "width", "correction"} & {*metrics}
    assert not {path.stem for path in (tmp_path / "served").iterdir()} & {"low", "high"}
    assert ServedModel(tmp_path / "served").answer(rows_of(5)).shape == (5, 1)
    task = tasks.of(spec_of(interval=None))
    assert task.answer_dtypes == {"prediction": "float64"} and list(task.reply_fields("wind")) == ["prediction"]
    assert task.reply([1.5], 0.5) == {"prediction": 1.5}
    assert "low" not in pd.read_parquet(tmp_path / "holdout" / "holdout.parquet")


def test_a_column_has_another_name_than_an_end():
    with pytest.raises(StackError, match="rename the column"):
        spec_of(features={"service": "gusts_v1", "columns": {"high": "number"}})


def test_a_class_has_no_interval():
    with pytest.raises(StackError, match="interval") as error:
        spec_of(task="binary")
    assert "of a regression, a forecast or several classes" in str(error.value)
