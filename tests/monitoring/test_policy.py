import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from monitoring.policy import decide, verdict
from stack.core.errors import StackError
from stack.core.settings import Settings
from stack.kit.drift import Window
from stack.project import Project
from stack.specification.sections import Monitoring

AT = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = Monitoring(min_rows=1000, min_labelled=8000, max_bias=0.04, max_drift_share=0.3, max_age=timedelta(days=60))


def window(**values) -> Window:
    usual = {"at": AT, "rows": 13_000, "drift_share": 0.1, "prediction_drift": False, "labelled": 20_000, "bias": 0.01}
    return Window(**usual | values)


@pytest.mark.parametrize(
    ("case", "values", "age", "action"),
    [
        ("a quiet fortnight", {}, 20, "none"),
        ("every feature drifts: a notice, no retraining", {"drift_share": 1.0}, 20, "notice"),
        ("just under the share", {"drift_share": 0.29}, 20, "none"),
        ("the predictions drift", {"prediction_drift": True}, 20, "notice"),
        ("a weather feed is gone", {"lost": ("temp", "dewp")}, 20, "notice"),
        ("the intervals hold what they should", {"measured": {"interval": 0.8, "coverage": 0.71}}, 20, "none"),
        ("the intervals hold too little", {"measured": {"interval": 0.8, "coverage": 0.69}}, 20, "notice"),
        ("the intervals hold too much", {"measured": {"interval": 0.8, "coverage": 0.91}}, 20, "notice"),
        (
            "sets of classes may hold more",
            {"measured": {"interval": 0.8, "coverage": 0.95, "set_size": 1.0}},
            20,
            "none",
        ),
        (
            "sets of classes hold too little",
            {"measured": {"interval": 0.8, "coverage": 0.69, "set_size": 1.0}},
            20,
            "notice",
        ),
        ("no interval has its outcome yet", {"measured": {"interval": 0.8}}, 20, "none"),
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
def test_the_policy_answers(case, values, age, action):
    assert decide(POLICY, [window(**values)], at=AT, cutoff=AT - timedelta(days=age)).action == action, case


def test_without_a_champion_nothing_retrains():
    verdict = decide(POLICY, [window(bias=0.3, drift_share=0.9)], at=AT, cutoff=None)

    assert not verdict.retrain
    assert verdict.notice


@pytest.mark.parametrize(
    ("days", "growth", "action"),
    [(60, 0.2, "retrain"), (60, 0.19, "none"), (59, 0.3, "none"), (60, None, "retrain")],
)
def test_an_old_champion_waits_until_its_data_have_grown(days, growth, action):
    policy = POLICY.model_copy(update={"min_growth": 0.2})

    assert decide(policy, [window(growth=growth)], at=AT, cutoff=AT - timedelta(days=days)).action == action


def test_a_gap_does_not_wait_for_growth():
    policy = POLICY.model_copy(update={"min_growth": 0.2})

    assert decide(policy, [window(growth=0.1, bias=0.05)], at=AT, cutoff=AT - timedelta(days=20)).retrain


def test_the_age_says_what_it_waits_for():
    policy = POLICY.model_copy(update={"min_growth": 0.2})

    verdict = decide(policy, [window(growth=0.25)], at=AT, cutoff=AT - timedelta(days=61))

    assert verdict.summary == (
        "Retrain: age: champion trained on data 61 days old, limit 60; its data have grown by 25.0% since, 20.0% needed"
    )


def test_the_summary_names_number_and_limit():
    verdict = decide(POLICY, [window(bias=-0.0512)], at=AT, cutoff=AT - timedelta(days=20))

    assert verdict.summary == (
        "Retrain: bias: -0.0512 over 28 days, limit 0.04, 20,000 labelled rows since the cut-off"
    )


def weeks(*windows: Window) -> list[Window]:
    """Put windows a week apart, the last at `AT`."""
    last = len(windows) - 1
    return [replace(window, at=AT - timedelta(days=7 * (last - number))) for number, window in enumerate(windows)]


@pytest.mark.parametrize(
    ("biases", "action"),
    [
        ((0.06,), "none"),
        ((0.06, 0.01, 0.06), "retrain"),
        ((0.06, 0.06, 0.01), "none"),
        ((0.06, 0.01, 0.01, 0.06), "none"),
        ((-0.06, 0.06), "retrain"),
    ],
)
def test_n_of_m_windows_break_the_limit_before_it_counts(biases, action):
    policy = POLICY.model_copy(update={"breaches": 2, "windows": 3})

    decision = decide(policy, weeks(*(window(bias=bias) for bias in biases)), at=AT, cutoff=AT - timedelta(days=50))

    assert decision.action == action


def test_windows_of_the_former_champion_do_not_count():
    policy = POLICY.model_copy(update={"breaches": 2, "windows": 3})
    history = weeks(window(bias=0.06), window(bias=0.06))

    assert decide(policy, history, at=AT, cutoff=AT - timedelta(days=8)).retrain
    assert not decide(policy, history, at=AT, cutoff=AT - timedelta(days=7)).retrain


def test_drift_gives_notice_when_n_of_m_windows_drift():
    policy = POLICY.model_copy(update={"breaches": 2, "windows": 2})

    once = decide(policy, weeks(window(), window(drift_share=0.5)), at=AT, cutoff=AT)
    twice = decide(policy, weeks(window(drift_share=0.4), window(drift_share=0.5)), at=AT, cutoff=AT)

    assert (once.action, twice.action) == ("none", "notice")
    assert "in 2 of the last 2 windows (2 needed)" in twice.summary


@pytest.mark.parametrize(("days", "action"), [(7, "notice"), (13, "notice"), (14, "retrain"), (70, "retrain")])
def test_after_a_retraining_the_next_one_waits(days, action):
    asked = window(at=AT - timedelta(days=days), retrained=True)

    decision = decide(POLICY, [asked, window(bias=0.06)], at=AT, cutoff=AT - timedelta(days=80))

    assert decision.action == action
    assert (f"requested {days} days ago, cool-down 14" in decision.summary) == (action == "notice")


def test_the_loss_retrains_where_a_limit_is_set():
    policy = POLICY.model_copy(update={"max_bias": None, "max_loss": 0.55})

    actions = [decide(policy, [window(loss=loss, bias=0.3)], at=AT, cutoff=AT).action for loss in (0.54, 0.56, None)]

    assert actions == ["none", "retrain", "none"]


@pytest.fixture
def own_policy(home, spec, tmp_path, monkeypatch) -> Iterator[Callable[[str, str], Project]]:
    """Give a project a ``drift.py`` of its own."""
    monkeypatch.setattr(Settings, "projects", tmp_path)
    monkeypatch.setattr("projects.__path__", [str(tmp_path)])
    before = set(sys.modules)

    def write(name: str, text: str) -> Project:
        (tmp_path / name).mkdir()
        (tmp_path / name / "drift.py").write_text(text)
        return Project(home, spec.model_copy(update={"name": name}))

    yield write
    for module in set(sys.modules) - before:
        if module.startswith("projects."):
            del sys.modules[module]


def test_a_project_decides_for_itself(own_policy):
    project = own_policy(
        "tiny",
        "from stack.kit.drift import Verdict\n\n\ndef decide(usual, policy, history, *, at, cutoff):\n"
        "    return Verdict(tuple(reason for reason in usual.reasons if reason.name != 'age'))\n",
    )

    decision = verdict(project, [window()], at=AT, cutoff=AT - timedelta(days=500))

    assert decision.action == "none"
    assert [reason.name for reason in decision.reasons] == ["drift", "predictions", "missing", "bias"]


def test_an_answer_that_is_no_verdict_is_named(own_policy):
    project = own_policy("odd", "def decide(*_, **__):\n    return True\n")

    with pytest.raises(StackError, match=r"odd/drift.py, decide:\n  found     the answer True"):
        verdict(project, [window()], at=AT, cutoff=None)


def test_more_breaches_than_windows_are_refused():
    with pytest.raises(ValidationError, match="3 of 2 windows can never be"):
        Monitoring(breaches=3, windows=2)


def test_too_few_rows_are_named():
    verdict = decide(POLICY, [window(rows=12, drift_share=None)], at=AT, cutoff=AT)

    assert "12 rows; at least 1,000 needed" in verdict.reasons[0].text
