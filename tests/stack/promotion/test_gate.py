"""The gate lets through what is good enough, and says with figures why it does not."""

import json
import math
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.promotion import gate
from stack.promotion.comparison import ChampionComparison, difference
from stack.promotion.leaks import Leak
from stack.specification.costs import Costs

GOOD = {"baseline": np.array([0.3]), "served_difference": 1e-7, "latency_ms": 0.1}


@pytest.fixture
def holdout():
    """2,000 rows in two towns, with honest probabilities of skill."""
    random = np.random.default_rng(1)
    probability = random.beta(1, 2, 2000)
    asked = pd.date_range("2024-01-01", periods=2000, freq="20min", tz="UTC")
    rows = {"town_id": ["Bath", "Cork"] * 1000, "probability": probability, "event_timestamp": asked}
    return pd.DataFrame(rows | {"rain": (random.uniform(size=2000) < probability).astype(int)})


def refused(decision):
    return [reason.name for reason in decision.reasons if not reason.ok]


def limited(spec, **limits):
    return spec.gate.model_copy(update={"limits": spec.gate.limits | limits})


def compared(rows, by, days=1):
    """A champion of some age that is off by `by` on every row."""
    worse = np.clip(rows["probability"] + by, 0.01, 0.99)
    return ChampionComparison("1", "On all rows.", timedelta(days=days), rows.assign(probability_champion=worse))


def test_a_good_challenger_passes(toy, holdout):
    decision = gate.judge(toy, "2", holdout, **GOOD)
    assert decision.passed
    assert decision.champion is None
    assert {reason.name for reason in decision.reasons} >= {"auc", "auc of town_id Bath", "auc of town_id Cork"}


def priced(toy):
    """The toy project with costs, judged by them, as one that has read a model's threshold."""
    costs, by_cost = Costs(missed=5, false_alarm=1), toy.gate.model_copy(update={"metric": "cost"})
    return toy.model_copy(update={"costs": costs, "gate": by_cost}).with_threshold(1 / 6)


def test_a_challenger_is_compared_by_the_cost_of_its_decisions(toy, holdout):
    """Both models answer alike; the champion decides at 0.5, where a miss costs five times a false alarm."""
    spec, comparison = priced(toy), compared(holdout, 0.0)
    decision = gate.judge(spec, "2", holdout, **GOOD, comparison=comparison)
    assert decision.passed
    label, answer = holdout["rain"], holdout["probability"]
    change = difference(spec, comparison)
    ours, theirs = (spec.costs.of(label, answer, threshold).mean() for threshold in (1 / 6, 0.5))
    assert change.mean == pytest.approx(ours - theirs) and change.high < 0
    assert "cost - champion's" in decision.reason
    back = gate.judge(
        spec.with_threshold(0.5), "2", holdout, **GOOD, comparison=replace(comparison, champion_threshold=1 / 6)
    )
    assert {"cost - champion's", "interval's upper end"} <= set(refused(back))


def test_decisions_must_not_cost_more_than_the_best_constant_one(toy, holdout):
    assert gate.judge(priced(toy), "2", holdout, **GOOD).passed
    assert refused(gate.judge(priced(toy).with_threshold(0.9), "2", holdout, **GOOD)) == ["cost"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            {"probability": lambda rows: 0.3 + 0 * rows["probability"]},
            ["auc", "auc of town_id Bath", "auc of town_id Cork"],
        ),
        ({"probability": lambda rows: rows["rain"] * 0.98 + 0.01}, ["auc"]),
        ({"probability": lambda rows: rows["probability"] * 0.5}, ["bias"]),
        (
            {"probability": lambda rows: rows["probability"].where(rows["town_id"] == "Bath", 0.33)},
            ["auc of town_id Cork"],
        ),
    ],
    ids=["says nothing", "knows too much", "promises too little", "fails in a town"],
)
def test_a_limit_that_is_missed_is_named(toy, holdout, change, names):
    limits = limited(toy, bias=(-0.06, 0.06))
    spec = toy.model_copy(update={"gate": limits})
    assert refused(gate.judge(spec, "2", holdout.assign(**change), **GOOD)) == names


def test_what_gives_the_outcome_away_is_named_and_a_person_decides(toy, holdout):
    leak = Leak(("sales", "returns"), "the target is a sum or difference of them")
    decision = gate.judge(toy, "2", holdout, **GOOD, suspected=(leak,))
    assert decision.passed and decision.leaks == (leak,)
    assert "sales, returns: the target is a sum" in decision.markdown() and "a person decides" in decision.markdown()
    assert decision.answered(True, "known when asked").numbers["leaks"][0]["columns"] == ["sales", "returns"]


def test_no_skill_is_refused(toy, holdout):
    spec = toy.model_copy(update={"gate": limited(toy, brier_skill=(0.1, None)).model_copy(update={"slices": {}})})
    flat = holdout.assign(probability=0.3 + 0.1 * holdout["probability"])
    assert refused(gate.judge(spec, "2", flat, **GOOD)) == ["brier_skill"]


@pytest.mark.parametrize(
    ("figure", "value", "name"), [("served_difference", 1e-3, "served form"), ("latency_ms", 90, "latency ms")]
)
def test_a_served_form_that_is_wrong_or_slow_is_refused(toy, holdout, figure, value, name):
    assert refused(gate.judge(toy, "2", holdout, **GOOD | {figure: value})) == [name]


def test_a_figure_that_is_not_a_number_is_refused(toy, holdout):
    assert refused(gate.judge(toy, "2", holdout, **GOOD | {"served_difference": math.nan})) == ["served form"]


OLD = 60
"""Days: past the maximum age of a champion."""


def sharper(rows, by):
    """Rows whose probabilities know `by` of the outcome."""
    return rows.assign(probability=rows["probability"] * (1 - by) + by * rows["rain"])


@pytest.mark.parametrize(
    ("by", "days", "names"),
    [
        (0.1, 1, []),
        (0.0, 1, ["interval's upper end"]),
        (0.0, OLD, []),
        (-0.001, 1, ["interval's upper end"]),
        (-0.001, OLD, []),
        (-0.1, OLD, ["log-loss - champion's"]),
    ],
    ids=[
        "better",
        "as good",
        "as good as an old champion",
        "hardly worse",
        "hardly worse than an old champion",
        "worse",
    ],
)
def test_a_champion_is_followed_by_the_better_or_when_it_is_old_by_the_not_worse(toy, holdout, by, days, names):
    rows = sharper(holdout, max(by, 0)).assign(probability_champion=sharper(holdout, max(-by, 0))["probability"])
    decision = gate.judge(toy, "2", holdout, **GOOD, comparison=ChampionComparison("1", "", timedelta(days=days), rows))
    assert refused(decision) == names


@pytest.mark.parametrize(("days", "passes"), [(13, True), (8, False)])
def test_an_old_champion_is_followed_by_a_model_that_is_behind_by_chance_alone(toy, holdout, days, passes):
    """Each model is much the better one on some of 28 days: the challenger on so many of them."""
    spec = toy.model_copy(update={"gate": toy.gate.model_copy(update={"max_loss_increase": None})})
    day = (holdout["event_timestamp"] - holdout["event_timestamp"].iloc[0]).dt.days
    right, wrong = holdout["probability"], (holdout["probability"] + 0.25).clip(0.01, 0.99)
    ahead = day * 11 % 28 < days
    rows = holdout.assign(probability=right.where(ahead, wrong), probability_champion=wrong.where(ahead, right))
    comparison = ChampionComparison("1", "On all rows.", timedelta(days=OLD), rows)
    change = difference(spec, comparison)
    assert change.mean > gate.TOLERANCE * change.champion
    decision = gate.judge(spec, "2", rows.assign(probability=right), **GOOD, comparison=comparison)
    assert decision.passed == passes and ("log-loss - champion's" in refused(decision)) != passes


@pytest.mark.parametrize(("by", "names"), [(0.03, ["interval's upper end"]), (0.05, [])])
def test_a_champion_that_is_off_is_due_however_young(toy, holdout, by, names):
    rows = compared(holdout, by).rows
    equal = ChampionComparison("1", "", timedelta(), rows.assign(probability=rows["probability_champion"]))
    assert refused(gate.judge(toy, "2", holdout, **GOOD, comparison=equal)) == names


def test_one_good_day_proves_nothing(toy, holdout):
    """The challenger is much better on a single day of 28, and a little worse on the others."""
    lucky = holdout["event_timestamp"].dt.day == 5
    rows = holdout.assign(probability_champion=holdout["probability"].where(~lucky, 0.6))
    rows["probability"] = holdout["probability"].where(lucky, holdout["probability"] * 0.97 + 0.01)
    result = difference(toy, ChampionComparison("1", "", timedelta(), rows))
    assert result.mean < 0 < result.high
    by_rows = rows.assign(event_timestamp=pd.date_range("2024-01-01", periods=2000, freq="D", tz="UTC"))
    assert difference(toy, ChampionComparison("1", "", timedelta(), by_rows)).high < 0, (
        "rows as the sample would be sure"
    )


def test_the_interval_holds_the_truth_as_often_as_it_says(toy):
    """100 pairs of equal models whose days differ: the interval leaves 0 out in about 5 % of them."""
    random, missed = np.random.default_rng(5), 0
    asked = pd.date_range("2024-01-01", periods=28 * 20, freq="72min", tz="UTC")
    for _ in range(100):
        luck = random.normal(0, 0.05, 28).repeat(20)
        rows = {"event_timestamp": asked, "rain": 0, "probability": 0.3 + luck.clip(-0.2, 0.2)}
        rows["probability_champion"] = 0.3 + random.permutation(luck.reshape(28, 20)).ravel().clip(-0.2, 0.2)
        result = difference(toy, ChampionComparison("1", "", timedelta(), pd.DataFrame(rows)))
        missed += not result.low <= 0 <= result.high
    assert missed <= 14


def test_the_interval_is_the_same_each_time(toy, holdout):
    comparison = compared(pd.concat([holdout] * 25, ignore_index=True), 0.03)
    first = difference(toy, comparison)
    assert first == difference(toy, comparison)
    assert first.rows == 50_000


def test_few_days_prove_nothing(toy, holdout):
    rows = sharper(holdout, 0.1).assign(probability_champion=holdout["probability"])
    results = [
        difference(toy, ChampionComparison("1", "", timedelta(), rows[rows["event_timestamp"] < end]))
        for end in ("2024-01-07", "2024-01-08")
    ]
    assert [result.units for result in results] == [6, 7]
    assert [result.high < 0 for result in results] == [False, True]


def test_a_slice_that_gets_worse_is_refused(toy, holdout):
    limits = toy.gate.model_copy(update={"max_slice_loss_increase": {"town_id": 0.01}})
    better = sharper(holdout, 0.2)["probability"].where(holdout["town_id"] == "Bath", holdout["probability"] ** 1.3)
    rows = holdout.assign(probability=better, probability_champion=holdout["probability"])
    comparison = ChampionComparison("1", "", timedelta(), rows)
    assert gate.judge(toy, "2", holdout, **GOOD, comparison=comparison).passed
    spec = toy.model_copy(update={"gate": limits})
    decision = gate.judge(spec, "2", holdout, **GOOD, comparison=comparison)
    assert refused(decision) == ["log-loss - champion's, town_id Cork"]


def test_no_row_to_compare_on_is_refused(toy, holdout):
    nothing = compared(holdout.iloc[:0], 0.0)
    assert refused(gate.judge(toy, "2", holdout, **GOOD, comparison=nothing))[0] == "log-loss - champion's"


def test_a_tiny_slice_is_not_judged(toy, holdout):
    holdout.loc[:50, "town_id"] = "Oban"
    names = [reason.name for reason in gate.judge(toy, "2", holdout, **GOOD).reasons]
    assert "auc of town_id Oban" not in names


def test_a_decision_can_be_read(toy, holdout):
    decision = gate.judge(toy, "2", holdout, **GOOD | {"latency_ms": 90.0})
    assert "was refused" in decision.markdown()
    assert "| latency ms | 90 | <= 50 | **no** | median of one row |" in decision.markdown()
    assert str(decision.reasons[-1]) == "latency ms 90 is not <= 50 (median of one row)"
    assert decision.reason == str(decision.reasons[-1])
    parsed = json.loads(json.dumps(decision.numbers))
    assert parsed["passed"] is False
    assert parsed["reasons"][-1] == {
        "kind": "latency",
        "name": "latency ms",
        "found": 90.0,
        "sign": "<=",
        "limit": 50.0,
        "note": "median of one row",
        "ok": False,
    }


def test_a_limit_of_no_metric_is_named(toy, holdout):
    spec = toy.model_copy(update={"gate": limited(toy, acu=(0.5, None))})
    with pytest.raises(StackError, match="gate.limits") as error:
        gate.judge(spec, "2", holdout, **GOOD)
    assert "did you mean 'auc'" in error.value.found
