"""The calibration of a binary candidate, fitted on its answers to the test rows of the folds where it helps there."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.isotonic import isotonic_regression
from sklearn.linear_model import LogisticRegression

from stack.specification import calibration
from stack.specification.calibration import Points, Span
from stack.specification.tasks import Binary

BINS, BIN_ROWS = 20, 50
"""Isotonic: at most so many bins, of at least so many answers each."""


SURE = 2.0
"""The gain is at least so many of its standard errors."""


class Calibration(NamedTuple):
    """What calibrates a candidate."""

    points: Points = ()
    """None where the answers stay as they are."""
    gain: float = 0.0
    """By how much the log-loss on the folds falls."""

    def __str__(self) -> str:
        """Describe it in one line."""
        if not self.points:
            return "none, as neither a sigmoid nor an isotonic regression lowers the log-loss on every fold"
        kind = "a sigmoid" if len(self.points) == 2 else "an isotonic regression"
        return f"by {kind}, which lowers the log-loss on the folds by {self.gain:.4f}"


def choose(labels: Sequence[Any], answers: Sequence[Any]) -> Calibration:
    """Return the calibration that lowers the log-loss most; none where none lowers it on every fold.

    A fold is measured with the calibration of the other folds; the result is fitted on all of them. What lowers the
    log-loss by less than `SURE` standard errors of its rows may be chance, and is none.

    Args:
        labels: encoded outcomes of the test rows of each fold.
        answers: the probabilities that a model, fitted without them, gives them.
    """
    labels, answers = [np.asarray(label, float) for label in labels], [np.asarray(answer) for answer in answers]
    best, plain = None, [Binary().losses(*fold) for fold in zip(labels, answers, strict=True)]
    least = plain
    for fit in (sigmoid, isotonic) if len(labels) > 1 else ():
        losses = []
        for at, (label, answer) in enumerate(zip(labels, answers, strict=True)):
            others = [np.concatenate([*part[:at], *part[at + 1 :]]) for part in (labels, answers)]
            losses.append(Binary().losses(label, calibration.apply(fit(*others), answer)))
        if _is_less(losses, least):
            best, least = fit, losses
    gain = float(np.concatenate(plain).mean() - np.concatenate(least).mean())
    return Calibration(best(np.concatenate(labels), np.concatenate(answers)), gain) if best else Calibration()


def _is_less(losses: list[np.ndarray], than: list[np.ndarray]) -> bool:
    """Return whether losses are lower on every fold, and of all rows by at least `SURE` standard errors."""
    gains = [before - after for before, after in zip(than, losses, strict=True)]
    rows = np.concatenate(gains)
    return all(fold.mean() > 0 for fold in gains) and bool(rows.mean() > SURE * rows.std() / np.sqrt(len(rows)))


def sigmoid(label: np.ndarray, answer: np.ndarray, span: Span = calibration.SERVED) -> Points:
    """Return the straight line of a logistic regression on the log-odds (Platt, 1999); empty where it does not rise."""
    if len(np.unique(label)) < 2 or len(np.unique(answer)) < 2:
        return ()
    line = LogisticRegression(C=np.inf).fit(calibration.log_odds(answer, span).reshape(-1, 1), label)
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
