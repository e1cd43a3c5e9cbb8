from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.policy import Window, decide
from stack.project import Monitoring

AT = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = Monitoring(min_rows=1000, min_labelled=8000, max_bias=0.04, max_drift_share=0.3, max_age=timedelta(days=60))


def window(**found) -> Window:
    usual = {"at": AT, "rows": 13_000, "drift_share": 0.1, "prediction_drift": False, "labelled": 20_000, "bias": 0.01}
    return Window(**usual | found)


@pytest.mark.parametrize(
    ("case", "found", "age", "action"),
    [
        ("a quiet fortnight", {}, 20, "none"),
        ("every feature drifts: somebody looks, nobody retrains", {"drift_share": 1.0}, 20, "notice"),
        ("just under the share", {"drift_share": 0.29}, 20, "none"),
        ("the predictions drift", {"prediction_drift": True}, 20, "notice"),
        ("a weather feed is gone", {"lost": ("temp", "dewp")}, 20, "notice"),
        ("the model says too much", {"bias": 0.05}, 20, "retrain"),
        ("the model says too little", {"bias": -0.05}, 20, "retrain"),
        ("on the limit is within it", {"bias": 0.04}, 20, "none"),
        ("a gap on too few labels", {"bias": 0.2, "labelled": 7_999}, 20, "none"),
        ("no label yet", {"bias": None, "labelled": 0}, 20, "none"),
        ("too old", {}, 60, "retrain"),
        ("nearly too old", {}, 59.9, "none"),
        ("drift and bias: the strongest counts", {"drift_share": 0.5, "bias": 0.06}, 20, "retrain"),
        ("too few rows say nothing of drift", {"rows": 999, "drift_share": 1.0, "prediction_drift": True}, 20, "none"),
        ("an empty window", {"rows": 0, "drift_share": None, "prediction_drift": None, "bias": None}, 20, "none"),
    ],
)
def test_the_policy_answers(case, found, age, action):
    assert decide(POLICY, [window(**found)], at=AT, cutoff=AT - timedelta(days=age)).action == action, case


def test_without_a_champion_nothing_retrains():
    verdict = decide(POLICY, [window(bias=0.3, drift_share=0.9)], at=AT, cutoff=None)

    assert not verdict.retrain
    assert verdict.notice


def test_the_summary_names_number_and_limit():
    verdict = decide(POLICY, [window(bias=-0.0512)], at=AT, cutoff=AT - timedelta(days=20))

    assert verdict.summary == (
        "Retrain: bias: -0.0512 over 28 days, limit 0.04, 20,000 labelled rows since the cut-off"
    )


def test_a_drift_that_goes_on_is_counted():
    history = [window(drift_share=share) for share in (0.4, 0.1, 0.5, 0.6)]

    reason = decide(POLICY, history, at=AT, cutoff=AT).reasons[0]

    assert reason.text.endswith("2 windows in a row")


def test_too_few_rows_are_told():
    verdict = decide(POLICY, [window(rows=12, drift_share=None)], at=AT, cutoff=AT)

    assert "12 rows, fewer than 1,000 decide nothing" in verdict.reasons[0].text
