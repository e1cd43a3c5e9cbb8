"""Nothing a model is fitted on was learnt after what it is tested on was asked."""

from datetime import timedelta

import pandas as pd
import pytest

from stack import splits
from stack.errors import StackError
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


def test_folds_expand_and_end_at_the_boundary(toy_rows):
    rows = toy_rows()
    boundary = pd.Timestamp(START + timedelta(days=16))
    folds = list(splits.folds(rows[rows["label_available_at"] <= boundary], boundary, 3))
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
