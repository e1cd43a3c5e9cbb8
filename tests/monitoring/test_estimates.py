"""The loss is estimated before labels come: it follows the features, and is blind to what outcomes depend on."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitoring import estimates, reports
from stack.project import Project
from stack.specification import tasks

AT = datetime(2013, 3, 15, tzinfo=UTC)


def answered(spec, mean=2.0, *, rows=20_000, seed=0, surer=1.0, turn=1.0, at=AT) -> pd.DataFrame:
    """Answers to rows whose log-odds are about `mean`: how much too sure they are, and how true they still are."""
    random = np.random.default_rng(seed)
    odds = random.normal(mean, 1, rows)
    label = random.uniform(size=rows) < 1 / (1 + np.exp(-turn * odds))
    times = pd.Timestamp(at) - pd.to_timedelta(random.uniform(0, 5, rows), unit="D")
    columns = {"probability": 1 / (1 + np.exp(-surer * odds)), spec.label: label.astype(float)}
    return pd.DataFrame(columns | {"event_timestamp": times})


def measured(spec, rows) -> float:
    return float(tasks.of(spec).losses(rows[spec.label], rows["probability"]).mean())


def estimated(spec, rows, holdout=None, judged=None) -> estimates.Estimate:
    return estimates.of(spec, rows, rows.iloc[:0] if judged is None else judged, AT, holdout)


@pytest.mark.parametrize("surer", [1.0, 2.5])
def test_the_estimate_follows_a_shift_of_the_features(spec, surer):
    """A model that is too sure is calibrated on its holdout."""
    holdout = answered(spec, seed=1, surer=surer)
    for mean in (2.0, 0.5, -1.0):
        rows = answered(spec, mean, surer=surer)
        estimate = estimated(spec, rows.drop(columns=spec.label), holdout)
        assert estimate.loss == pytest.approx(measured(spec, rows), abs=0.06 if surer > 1 else 0.02)
        assert estimate.error is None


def test_a_model_that_has_become_too_sure_is_calibrated_on_its_newest_labelled_answers(spec):
    holdout, rows = answered(spec, seed=1), answered(spec, surer=2.5)
    newest = answered(spec, seed=2, surer=2.5, at=AT - spec.monitoring.window)
    assert estimated(spec, rows, holdout, newest).loss == pytest.approx(measured(spec, rows), abs=0.06)
    assert estimated(spec, rows, holdout).loss < measured(spec, rows) - 0.1


def test_it_does_not_see_that_outcomes_depend_on_something_else(spec):
    before, after = answered(spec), answered(spec, turn=-1.0)
    assert measured(spec, after) > measured(spec, before) + 0.5
    assert estimated(spec, after, before).loss == pytest.approx(measured(spec, before), abs=0.02)


def test_the_error_of_earlier_estimates_is_told(spec):
    window = spec.monitoring.window
    true, false = answered(spec, at=AT - 2 * window), answered(spec, at=AT - window, turn=0.0)
    found = estimated(spec, answered(spec), answered(spec, seed=1), pd.concat([true, false, answered(spec)]))
    gap = measured(spec, false) - measured(spec, true)
    assert found.error == pytest.approx(gap / 2, abs=0.03)


def test_of_several_classes(spec):
    several = spec.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]})
    random = np.random.default_rng(0)
    chance = random.dirichlet([2, 1, 1], 20_000)
    label = (chance.cumsum(axis=1) < random.uniform(size=(20_000, 1))).sum(axis=1)
    outputs = tasks.of(several).outputs
    rows = pd.DataFrame(chance, columns=outputs).assign(**{spec.label: label.astype(float)})
    loss = float(tasks.of(several).losses(rows[spec.label], chance).mean())
    assert estimated(several, rows).loss == pytest.approx(loss, abs=0.02)
    assert estimated(several, rows, rows).loss == pytest.approx(loss, abs=0.02)


def test_numbers_and_few_answers_have_none(spec):
    assert estimated(spec, answered(spec, rows=49)) is None
    number = spec.model_copy(update={"task": "regression"})
    assert estimated(number, answered(spec).rename(columns={"probability": "prediction"})) is None


def test_a_report_tells_it_and_gives_notice_only(home, spec, frame):
    policy = spec.monitoring.model_copy(update={"max_loss": 0.1, "min_rows": 50})
    rows = frame().drop(columns=spec.label)
    opened = Project(home, spec.model_copy(update={"monitoring": policy}))
    report = reports.run(opened, frame(seed=1), rows, at=AT, name="r1", cutoff=AT - timedelta(days=15))
    (reason,) = [reason for reason in report.verdict.reasons if reason.name == "estimated_loss"]
    assert (reason.action, report.verdict.retrain) == ("notice", False)
    assert "by the probabilities alone, limit 0.1" in reason.text
    assert "Estimated loss" in report.path.read_text()
