from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from monitoring.replay import oracle

START = datetime(2013, 3, 1, tzinfo=UTC)
WEEKS = [(START, START + timedelta(days=7)), (START + timedelta(days=7), START + timedelta(days=14))]
RECIPE = {"candidate": "gradient_boosting", "params": {"max_iter": 5, "min_samples_leaf": 20}}


@pytest.fixture
def events(frame) -> pd.DataFrame:
    """Events of two weeks before `START` and two after it, each with its outcome an hour later."""
    rows = frame(rows=2000).drop(columns="probability")
    times = pd.Series(pd.date_range(START - timedelta(days=14), WEEKS[-1][1], 2000, unit="us", inclusive="left"))
    return rows.assign(
        event_timestamp=times, label_available_at=times + timedelta(hours=1), event_id=[f"e{at}" for at in range(2000)]
    )


def run(folder, spec, rows, recipe=RECIPE):
    lines = []
    answers = oracle.answers(folder, spec, rows, WEEKS, lambda _: recipe, lines.append)
    return answers.set_index("event_id")["probability"], len(lines)


def test_each_week_is_answered_by_what_was_known_at_its_beginning(tmp_path, spec, events):
    answers, fits = run(tmp_path / "a", spec, events)
    later = events["event_timestamp"] >= WEEKS[1][0]
    changed, _ = run(tmp_path / "b", spec, events.assign(late=events["late"].where(~later, 1)))

    assert fits == 2
    assert set(answers.index) == set(events.loc[events["event_timestamp"] >= START, "event_id"])
    pd.testing.assert_series_equal(answers, changed)


def test_nothing_is_fitted_twice(tmp_path, spec, events):
    first, _ = run(tmp_path, spec, events)
    again, fits = run(tmp_path, spec, events.sample(frac=1, random_state=1))
    _, of_another_recipe = run(tmp_path, spec, events, {**RECIPE, "params": {"max_iter": 6, "min_samples_leaf": 20}})

    assert (fits, of_another_recipe) == (0, 2)
    pd.testing.assert_series_equal(first, again)


def test_a_changed_label_is_learnt(tmp_path, spec, events):
    first, _ = run(tmp_path, spec, events)
    events.loc[events["event_timestamp"] < START, "late"] = 1 - events["late"]

    again, fits = run(tmp_path, spec, events)

    assert fits == 2
    assert (first - again).abs().max() > 0.05
