"""Outcomes are encoded once, and each task measures and answers in its own terms."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from stack.core.errors import StackError
from stack.specification.tasks import Binary, Multiclass, Regression

CLASSES = ("bus", "car", "tram")


def test_outcomes_become_positions_and_missing_ones_stay_missing() -> None:
    encoded = Binary(["no", "yes"]).encode(pd.Series(["yes", None, "no"]), "t.csv")
    assert encoded.tolist()[::2] == [1.0, 0.0]
    assert np.isnan(encoded[1])


def test_booleans_and_floats_are_the_default_classes() -> None:
    assert Binary([]).encode(pd.Series([True, False]), "t.csv").tolist() == [1.0, 0.0]
    assert Binary([]).encode(pd.Series([1.0, 0.0]), "t.csv").tolist() == [1.0, 0.0]


def test_a_third_class_is_named_with_the_ones_that_are_known() -> None:
    with pytest.raises(StackError, match=r"t\.csv[\s\S]*'perhaps' in 1 rows[\s\S]*'no', 'yes'"):
        Binary(["no", "yes"]).encode(pd.Series(["no", "perhaps"]), "t.csv")


def test_text_is_no_number() -> None:
    with pytest.raises(StackError, match="'many' in 1 rows"):
        Regression().encode(pd.Series([1, "many"]), "t.csv")


def test_losses_of_classes_are_those_of_scikit_learn() -> None:
    label, answer = np.array([0, 2, 1]), np.array([[0.7, 0.2, 0.1], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1]])
    task = Multiclass(CLASSES)
    assert task.losses(label, answer).mean() == pytest.approx(log_loss(label, answer))
    measured = task.metrics(label, answer, task.baseline(label))
    assert measured["accuracy"] == 1
    assert measured["brier_skill"] > 0


def test_a_value_is_measured_against_the_mean() -> None:
    label = np.array([1.0, 2.0, 3.0])
    measured = Regression().metrics(label, label + 1, Regression().baseline(label))
    assert (measured["rmse"], measured["bias"]) == (1, 1)
    assert measured["skill"] == pytest.approx(1 - 1 / (2 / 3))


def test_each_task_replies_in_its_own_terms() -> None:
    assert Binary([]).reply([0.3], 0.25) == {"probability": 0.3, "decision": True}
    assert Regression().reply([21.5], 0.5) == {"prediction": 21.5}
    assert Multiclass(CLASSES).reply([0.2, 0.5, 0.3], 0.5)["decision"] == "car"


@pytest.mark.parametrize(
    ("task", "ends", "outputs"),
    [
        (Binary([]), (), 1),
        (Regression(), (), 1),
        (Regression(), ("low", "high"), 4),
        (Multiclass(CLASSES), (), 3),
        (Multiclass(CLASSES), ("correction",), 4),
    ],
)
def test_answers_as_a_frame_are_the_rows_of_their_replies(task, ends, outputs):
    task.ends = ends
    if ends:
        task.answer_dtypes = {**task.answer_dtypes, **({"low": "", "high": ""} if task.numeric else {"classes": ""})}
    answers = np.random.default_rng(4).dirichlet(np.ones(outputs), 50)
    rows = [task.columns(task.reply(answer, 0.4)) for answer in answers.tolist()]
    expected = pd.DataFrame(rows, columns=task.answer_columns)
    pd.testing.assert_frame_equal(pd.DataFrame(task.frame(answers, 0.4)), expected)
    assert all(len(column) == 0 for column in task.frame(answers[:0], 0.4).values())


def test_a_version_without_intervals_leaves_the_ends_of_its_answers_empty():
    task = Regression()
    task.ends, task.answer_dtypes = ("low", "high"), dict.fromkeys(("prediction", "low", "high"), "float64")
    columns = task.frame(np.array([[1.5], [2.5]]), 0.5)
    assert columns["prediction"].tolist() == [1.5, 2.5] and np.isnan([columns["low"], columns["high"]]).all()
