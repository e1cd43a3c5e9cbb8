"""Of a table with time, a number that moves at once gives notice, alone among many; what seasons move gives none."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from monitoring import frames, reports, shifts
from monitoring.comparison import WindowComparison
from monitoring.policy import decide
from stack.kit.drift import Window
from stack.project import Project
from stack.specification.sections import Monitoring

AT = datetime(2013, 6, 1, tzinfo=UTC)
FORTNIGHT = timedelta(days=14)


@pytest.fixture
def past(frame):
    """The rows of 70 days before the window, of which a number rises like the warmth of spring."""

    def rows(end, days, seed, steepness=0.0, **shift):
        made = frame(rows=100 * days, seed=seed, **shift)
        at = pd.date_range(end - timedelta(days=days), end, len(made), unit="us")
        return made.assign(
            event_timestamp=at, calm=made["calm"] + steepness * (at - pd.Timestamp(AT)).days.to_numpy() / 14
        )

    return rows


def found(spec, reference, current):
    typed = [frames.typed(spec, rows, "rows") for rows in (reference, current)]
    return shifts.of(WindowComparison(spec, *typed))


def test_a_number_that_moves_at_once_is_found_alone(spec, past):
    before = past(AT - FORTNIGHT, 70, 1)
    moved = found(spec, before, past(AT, 14, 2, shift=0.8))
    assert {name for name, far in moved.items() if far > 0.2} == {"moved"}
    assert not found(spec, before, past(AT, 14, 2))


def test_a_season_that_goes_on_is_none(spec, past):
    moved = found(spec, past(AT - FORTNIGHT, 70, 1, steepness=0.7), past(AT, 14, 2, steepness=0.7))
    assert "calm" in moved and moved["calm"] < 0.2


def test_a_past_of_few_windows_tells_nothing_of_seasons(spec, past):
    assert not found(spec, past(AT - FORTNIGHT, 28, 1), past(AT, 14, 2, shift=0.8))


def test_few_rows_in_the_window_tell_nothing(spec, past):
    assert not found(spec, past(AT - FORTNIGHT, 70, 1), past(AT, 14, 2, shift=0.8).tail(40))


def test_the_report_gives_notice_and_retrains_nothing(home, spec, past):
    many = spec.features.model_copy(update={"columns": spec.features.columns | {f"n{i}": "number" for i in range(9)}})
    spec, chance = spec.model_copy(update={"features": many}), np.random.default_rng(3)
    before, current = (
        rows.assign(**{f"n{i}": chance.normal(size=len(rows)) for i in range(9)})
        for rows in (past(AT - FORTNIGHT, 70, 1), past(AT, 14, 2, shift=0.8))
    )
    report = reports.run(Project(home, spec), before, current, at=AT, name="r1", cutoff=AT - FORTNIGHT)
    assert report.verdict.action == "notice" and "shift: moved moved further" in report.verdict.summary


def weeks(*far):
    return [
        Window(at=AT + timedelta(days=7 * week), rows=5000, drift_share=0.0, shifts={"temp": value})
        for week, value in enumerate(far)
    ]


@pytest.mark.parametrize(
    ("far", "cutoff", "action"),
    [
        ([0.25], -1, "notice"),
        ([0.15], -1, "none"),
        ([0.1, 0.25, 0.4], -1, "none"),
        ([0.1, 0.5], -1, "notice"),
        ([0.1, 0.5, 0.5], -1, "notice"),
        ([0.15, 0.3], 0, "notice"),
    ],
    ids=["at once", "little", "step by step", "after quiet weeks", "and stays", "of another champion before"],
)
def test_a_shift_gives_notice_beyond_what_earlier_windows_had(far, cutoff, action):
    windows = weeks(*far)
    cutoff = AT + timedelta(days=7 * cutoff)
    assert decide(Monitoring(), windows, at=windows[-1].at, cutoff=cutoff).action == action
