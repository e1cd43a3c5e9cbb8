"""Nothing a model is fitted on was learnt after what it is tested on was asked."""

from datetime import timedelta

import pandas as pd
import pytest

from stack.core.errors import StackError
from stack.training import splits
from tests.stack.conftest import DAYS, START

CUTOFF = START + timedelta(days=DAYS, hours=6)


def holding(toy, **update):
    return toy.model_copy(update={"training": toy.training.model_copy(update=update)})


def test_the_holdout_is_a_share_of_a_short_history(toy, toy_rows):
    split = splits.holdout(toy, toy_rows(), CUTOFF)
    assert split.boundary == CUTOFF - timedelta(days=5)
    assert split.fit["label_available_at"].max() <= split.boundary < split.test["event_timestamp"].min()


def test_the_holdout_is_never_longer_than_asked_for(toy, toy_rows):
    assert splits.holdout(holding(toy, holdout=timedelta(days=2)), toy_rows(), CUTOFF).boundary == CUTOFF - timedelta(
        days=2
    )


def test_rows_in_flight_at_the_boundary_are_on_neither_side(toy, toy_rows):
    rows = toy_rows()
    split = splits.holdout(toy, rows, CUTOFF)
    between = (rows["event_timestamp"] <= split.boundary) & (rows["label_available_at"] > split.boundary)
    assert between.sum() == len(rows) - len(split.fit) - len(split.test)
    assert between.sum() > 0


def test_folds_expand_and_end_at_the_boundary(toy, toy_rows):
    rows = toy_rows()
    boundary = pd.Timestamp(START + timedelta(days=16))
    whole = splits.Split(boundary, rows[rows["label_available_at"] <= boundary], rows.iloc[:0])
    folds = list(splits.folds(holding(toy, folds=3), whole))
    assert len(folds) == 3
    assert [len(fold.fit) for fold in folds] == sorted(len(fold.fit) for fold in folds)
    for fold in folds:
        assert fold.fit["label_available_at"].max() <= fold.boundary < fold.test["event_timestamp"].min()
        assert fold.test["label_available_at"].max() <= boundary
    for fold, following in zip(folds, folds[1:], strict=False):
        assert fold.test["label_available_at"].max() <= following.boundary


@pytest.mark.parametrize("days", [0, 3])
def test_a_history_too_short_is_refused(toy, toy_rows, days):
    rows = toy_rows(200, days=days) if days else toy_rows(200).iloc[:0]
    with pytest.raises(StackError, match="training set of toy"):
        splits.holdout(toy, rows, START + timedelta(days=days, hours=6))


def test_one_outcome_only_is_refused(toy, toy_rows):
    with pytest.raises(StackError, match="fit rows") as error:
        splits.holdout(toy, toy_rows().assign(rain=1), CUTOFF)
    assert error.value.expected == "both outcomes"


def test_a_random_holdout_has_the_classes_in_proportion(toy, toy_rows):
    rows, spec = toy_rows(1000), holding(toy, split="random", holdout_share=0.2)
    split = splits.holdout(spec, rows, CUTOFF)
    assert len(split.fit) + len(split.test) == len(rows)
    assert not set(split.fit["event_id"]) & set(split.test["event_id"])
    assert split.test["rain"].sum() == pytest.approx(0.2 * rows["rain"].sum(), abs=1)
    assert len(split.test) == pytest.approx(200, abs=1)
    assert split.boundary == CUTOFF


def test_what_is_held_out_today_is_held_out_tomorrow(toy, toy_rows):
    """A quarter more rows, in another order: hardly any row changes sides, and another seed draws others."""
    rows, spec = toy_rows(1000), holding(toy, split="random")
    before = set(splits.holdout(spec, rows.iloc[:800], CUTOFF).test["event_id"])
    after = set(splits.holdout(spec, rows.sample(frac=1, random_state=1), CUTOFF).test["event_id"])
    assert len(before - after) <= 0.1 * len(before)
    other = set(splits.holdout(holding(toy, split="random", seed=8), rows.iloc[:800], CUTOFF).test["event_id"])
    assert len(before & other) < 0.5 * len(before)


def test_random_folds_test_each_row_once(toy, toy_rows):
    spec = holding(toy, split="random", folds=4)
    split = splits.holdout(spec, toy_rows(1000), CUTOFF)
    folds = list(splits.folds(spec, split))
    assert sorted(row for fold in folds for row in fold.test.index) == sorted(split.fit.index)
    for fold in folds:
        assert not set(fold.fit.index) & set(fold.test.index)
        assert fold.test["rain"].mean() == pytest.approx(split.fit["rain"].mean(), abs=0.01)
    assert len(list(splits.folds(holding(toy, split="random"), split))) == 5
    (only,) = splits.folds(holding(toy, split="random", folds=1), split)
    assert len(only.test) == pytest.approx(0.25 * len(split.fit), abs=1)


def test_numbers_are_drawn_without_classes(toy, toy_rows):
    spec = holding(toy.model_copy(update={"task": "regression", "label": "cold"}), split="random")
    split = splits.holdout(spec, toy_rows(400), CUTOFF)
    assert (len(split.fit), len(split.test)) == (300, 100)
    assert {len(fold.test) for fold in splits.folds(spec, split)} == {60}


def test_every_class_has_to_be_learnt(toy, toy_rows):
    spec = holding(toy.model_copy(update={"task": "multiclass", "classes": ["a", "b", "c"]}), split="random")
    with pytest.raises(StackError, match="fit rows") as error:
        splits.holdout(spec, toy_rows(400), CUTOFF)
    assert error.value.expected == "all 3 outcomes" and error.value.found.endswith("2 different outcomes, none of c")


def test_a_fold_with_nothing_to_learn_is_left_out(toy, toy_rows):
    rows = toy_rows()
    split = splits.holdout(toy, rows, CUTOFF)
    early = split.fit["event_timestamp"] < START + timedelta(days=8)
    calm = splits.Split(split.boundary, split.fit.assign(rain=split.fit["rain"].where(~early, 0)), split.test)
    assert len(list(splits.folds(toy, calm))) == 1


def grouped(toy_rows, groups):
    rows = toy_rows(1000)
    return rows.assign(patient=[f"p{number % groups}" for number in range(len(rows))])


def test_the_rows_of_a_group_are_on_one_side(toy, toy_rows):
    spec, rows = holding(toy, split="random", group="patient"), grouped(toy_rows, 40)
    split = splits.holdout(spec, rows, CUTOFF)
    assert set(split.test["patient"]).isdisjoint(split.fit["patient"])
    assert split.test["patient"].nunique() == 10
    assert len(split.fit) + len(split.test) == len(rows)
    for fold in splits.folds(spec, split):
        assert set(fold.test["patient"]).isdisjoint(fold.fit["patient"])
        assert fold.test["patient"].nunique() == 6


def test_a_group_that_is_held_out_stays_so_and_a_row_without_one_is_its_own(toy, toy_rows):
    spec, rows = holding(toy, split="random", group="patient"), grouped(toy_rows, 40)
    before = set(splits.holdout(spec, rows[rows["patient"] != "p0"], CUTOFF).test["patient"])
    after = set(splits.holdout(spec, rows, CUTOFF).test["patient"])
    assert len(before - after) <= 1
    split = splits.holdout(spec, rows.assign(patient=None), CUTOFF)
    assert len(split.test) == 250


def test_a_bootstrap_draws_days_groups_or_rows(toy, toy_rows):
    rows = grouped(toy_rows, 40)
    assert len(set(splits.units(toy, rows))) == DAYS
    assert len(set(splits.units(holding(toy, split="random", group="patient"), rows))) == 40
    assert len(set(splits.units(holding(toy, split="random"), rows))) == len(rows)
    assert len(set(splits.units(holding(toy, split="random", group="patient"), toy_rows(1000)))) == 1000
