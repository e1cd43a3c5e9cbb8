"""The calibration of a binary candidate, fitted on its answers to the test rows of the folds where it helps there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from stack.specification import calibration
from stack.specification.calibration import Points
from stack.specification.tasks import Binary

BINS, BIN_ROWS = 20, 50
"""Isotonic: at most so many bins, of at least so many answers each."""


def choose(labels: Sequence[Any], answers: Sequence[Any]) -> Points:
    """Return the calibration that lowers the log-loss most; empty where none lowers it on every fold.

    A fold is measured with the calibration of the other folds; the result is fitted on all of them.

    Args:
        labels: encoded outcomes of the test rows of each fold.
        answers: the probabilities that a model, fitted without them, gives them.
    """
    labels, answers = [np.asarray(label, float) for label in labels], [np.asarray(answer) for answer in answers]
    least, best = [_loss(*fold) for fold in zip(labels, answers, strict=True)], None
    for fit in (sigmoid, isotonic) if len(labels) > 1 else ():
        losses = []
        for at, (label, answer) in enumerate(zip(labels, answers, strict=True)):
            others = [np.concatenate([*part[:at], *part[at + 1 :]]) for part in (labels, answers)]
            points = fit(*others)
            losses.append(_loss(label, calibration.apply(points, answer)) if points else np.inf)
        if np.less(losses, least).all():
            least, best = losses, fit
    return best(np.concatenate(labels), np.concatenate(answers)) if best else ()


def sigmoid(label: np.ndarray, answer: np.ndarray) -> Points:
    """Return the straight line of a logistic regression on the log-odds (Platt, 1999); empty where it does not rise."""
    if len(np.unique(label)) < 2:
        return ()
    line = LogisticRegression(C=np.inf).fit(calibration.log_odds(answer).reshape(-1, 1), label)
    slope, start = float(line.coef_[0, 0]), float(line.intercept_[0])
    return ((-1.0, start - slope), (1.0, start + slope)) if slope > 0 else ()


def isotonic(label: np.ndarray, answer: np.ndarray) -> Points:
    """Return an isotonic regression of the shares of outcomes in bins of equally many answers.

    Without bins it would have steps, where a served answer that is off by 1e-7 may be off by any amount.
    """
    order, count = np.argsort(answer, kind="stable"), min(BINS, len(answer) // BIN_ROWS)
    if count < 2:
        return ()
    bins = np.array_split(order, count)
    size = np.array([len(rows) for rows in bins])
    share = np.array([(label[rows].sum() + 0.5) / (len(rows) + 1) for rows in bins])
    x = np.array([calibration.log_odds(answer[rows]).mean() for rows in bins])
    y = calibration.log_odds(isotonic_regression(share, sample_weight=size))
    apart = np.concatenate([[True], np.diff(x) > 0.05])
    return tuple(zip(x[apart].tolist(), y[apart].tolist(), strict=True)) if apart.sum() > 1 else ()


def _loss(label: np.ndarray, answer: np.ndarray) -> float:
    return float(Binary().losses(label, answer).mean())
