"""The gate lets through what is good enough, and says with figures why it does not."""

import json
import math
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack import gate, registry, training
from stack.errors import StackError
from stack.gate import Comparison
from tests.stack.conftest import DAYS, START

GOOD = {"base_rate": 0.3, "served_difference": 1e-7, "latency_ms": 0.1}


@pytest.fixture
def holdout():
    """2,000 rows in two towns, with honest probabilities of skill."""
    random = np.random.default_rng(1)
    probability = random.beta(1, 2, 2000)
    rows = {"town_id": ["Bath", "Cork"] * 1000, "probability": probability}
    return pd.DataFrame(rows | {"rain": (random.uniform(size=2000) < probability).astype(int)})


def refused(decision):
    return [reason.name for reason in decision.reasons if not reason.ok]


def compared(rows, by):
    """A champion that is off by `by` on every row."""
    worse = np.clip(rows["probability"] + by, 0.01, 0.99)
    return Comparison("1", "On all rows.", rows["rain"].to_numpy(), rows["probability"].to_numpy(), worse.to_numpy())


def test_a_good_challenger_passes(toy, holdout):
    decision = gate.judge(toy, "2", holdout, **GOOD)
    assert decision.passed
    assert decision.champion is None
    assert {reason.name for reason in decision.reasons} >= {"auc", "auc of town_id Bath", "auc of town_id Cork"}


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            {"probability": lambda rows: 0.3 + 0 * rows["probability"]},
            ["auc", "auc of town_id Bath", "auc of town_id Cork"],
        ),
        ({"probability": lambda rows: rows["rain"] * 0.98 + 0.01}, ["auc"]),
        ({"probability": lambda rows: rows["probability"] * 0.5}, ["absolute bias"]),
        (
            {"probability": lambda rows: rows["probability"].where(rows["town_id"] == "Bath", 0.33)},
            ["auc of town_id Cork"],
        ),
    ],
    ids=["says nothing", "knows too much", "promises too little", "fails one town"],
)
def test_a_limit_that_is_missed_is_named(toy, holdout, change, names):
    limits = toy.gate.model_copy(update={"max_bias": 0.06})
    spec = toy.model_copy(update={"gate": limits})
    assert refused(gate.judge(spec, "2", holdout.assign(**change), **GOOD)) == names


def test_no_skill_is_refused(toy, holdout):
    spec = toy.model_copy(update={"gate": toy.gate.model_copy(update={"min_brier_skill": 0.1, "slices": {}})})
    flat = holdout.assign(probability=0.3 + 0.1 * holdout["probability"])
    assert refused(gate.judge(spec, "2", flat, **GOOD)) == ["brier skill"]


@pytest.mark.parametrize(
    ("figure", "value", "name"), [("served_difference", 1e-3, "served form"), ("latency_ms", 90, "latency ms")]
)
def test_a_served_form_that_is_wrong_or_slow_is_refused(toy, holdout, figure, value, name):
    assert refused(gate.judge(toy, "2", holdout, **GOOD | {figure: value})) == [name]


def test_a_figure_that_is_not_a_number_is_refused(toy, holdout):
    assert refused(gate.judge(toy, "2", holdout, **GOOD | {"served_difference": math.nan})) == ["served form"]


def test_a_worse_challenger_than_the_champion_is_refused(toy, holdout):
    truth = compared(holdout, 0.0)
    better = Comparison(
        "1", "", truth.label, truth.champion_probability - 0.1 * (1 - truth.label), truth.champion_probability
    )
    worse = Comparison("1", "", better.label, better.champion_probability, better.challenger_probability)
    assert gate.judge(toy, "2", holdout, **GOOD, comparison=better).passed
    decision = gate.judge(toy, "2", holdout, **GOOD, comparison=worse)
    assert refused(decision) == ["log-loss - champion's"]
    assert "on 2,000 rows" in str(decision.reasons[-3])


def test_a_challenger_that_is_as_good_passes(toy, holdout):
    assert gate.judge(toy, "2", holdout, **GOOD, comparison=compared(holdout, 0.0)).passed


def test_no_row_to_compare_on_is_refused(toy, holdout):
    assert refused(gate.judge(toy, "2", holdout, **GOOD, comparison=compared(holdout.iloc[:0], 0.0))) == [
        "log-loss - champion's"
    ]


def test_a_tiny_slice_is_not_judged(toy, holdout):
    holdout.loc[:50, "town_id"] = "Oban"
    names = [reason.name for reason in gate.judge(toy, "2", holdout, **GOOD).reasons]
    assert "auc of town_id Oban" not in names


def test_a_decision_can_be_read(toy, holdout):
    decision = gate.judge(toy, "2", holdout, **GOOD | {"latency_ms": 90.0})
    assert "was refused" in decision.markdown()
    assert "| latency ms | 90 | <= 50 | **no** | median of one row |" in decision.markdown()
    assert str(decision.reasons[-1]) == "latency ms 90 is not <= 50 (median of one row)"
    parsed = json.loads(decision.json())
    assert parsed["passed"] is False
    assert parsed["reasons"][-1] == {
        "name": "latency ms",
        "found": 90.0,
        "sign": "<=",
        "limit": 50.0,
        "note": "median of one row",
        "ok": False,
    }


@pytest.fixture(scope="module")
def towns(toy):
    """A project of this module's own."""
    return toy.model_copy(update={"name": "gated"})


def train(settings, spec, rows, days):
    cutoff = (START + timedelta(days=days)).to_pydatetime()
    known = rows[rows["label_available_at"] <= cutoff]
    return training.train(
        settings, spec, known, data_revision="1", cutoff=cutoff, code_version="1", report=lambda _: None
    )


def test_without_a_challenger_there_is_nothing_to_judge(tracked, towns):
    with pytest.raises(StackError, match="make train PROJECT=gated"):
        gate.run(tracked, towns)


def test_from_the_first_model_to_the_next(tracked, towns, toy_rows):
    """The first has nobody to beat, the second little new to show it on, the third much."""
    rows = toy_rows(6000, days=40)
    first = train(tracked, towns, rows, DAYS)
    decision = gate.run(tracked, towns)
    assert decision.passed, decision.markdown()
    assert (decision.version, decision.champion) == (first.version, None)
    registry.promote(tracked, towns, first.version)

    train(tracked, towns, rows, DAYS + 1)
    decision = gate.run(tracked, towns)
    assert decision.champion == first.version
    assert "rows in the holdout of both" in decision.basis

    third = train(tracked, towns, rows, 40)
    decision = gate.run(tracked, towns)
    assert "rows asked after the champion's cut-off (2024-01-21 00:00 UTC)" in decision.basis
    version = registry.challenger(tracked, towns)
    assert (version.version, version.tag("stack.gate")) == (third.version, "passed" if decision.passed else "refused")
    with registry.artifacts(tracked, version, "gate") as folder:
        assert json.loads((folder / "gate.json").read_text())["version"] == third.version
