"""The search over candidates and hyper-parameters: Optuna, seeded, on time-ordered folds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler

from stack import candidates, evaluation, splits
from stack.project import ProjectSpec
from stack.splits import Split

RANDOM_TRIALS = 4
"""Trials before the sampler begins to model what it has seen; the centres are among them."""


@dataclass(frozen=True)
class Tried:
    """A candidate with its parameters, and how it did."""

    number: int
    candidate: str
    params: dict[str, Any]
    losses: list[float] = field(default_factory=list)
    """Log-loss of each fold that was run."""
    pruned: bool = False

    @property
    def loss(self) -> float:
        """Mean log-loss over the folds."""
        return sum(self.losses) / len(self.losses)

    def __str__(self) -> str:
        return f"{self.candidate} log-loss {self.loss:.4f}{' (pruned)' if self.pruned else ''}"


def search(spec: ProjectSpec, split: Split, done: Callable[[Tried], None]) -> Tried:
    """Try the candidates on folds of the fit part; the holdout is not looked at.

    Args:
        split: its `fit` rows are used.
        done: called after each trial; the baseline without parameters is number 0.

    Returns:
        The best that ran on every fold.
    """
    folds = list(_Fold.of(spec, split))
    tried: list[Tried] = []

    def note(one: Tried) -> None:
        tried.append(one)
        done(one)

    if "dummy" in spec.training.candidates:
        note(Tried(0, "dummy", {}, [fold.loss(spec, "dummy", {}) for fold in folds]))
    if candidates.searched(spec):
        _optimise(spec, folds, note)
    return min((one for one in tried if not one.pruned), key=lambda one: one.loss)


def _optimise(spec: ProjectSpec, folds: list[_Fold], note: Callable[[Tried], None]) -> None:
    """Run the trials: the centre of each candidate first, then what the sampler draws."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=TPESampler(seed=spec.training.seed, n_startup_trials=RANDOM_TRIALS, multivariate=False),
        pruner=MedianPruner(n_startup_trials=len(candidates.searched(spec)), n_warmup_steps=0),
    )
    for name in candidates.searched(spec):
        study.enqueue_trial(candidates.centre(name))

    def objective(trial: optuna.Trial) -> float:
        name, params = candidates.suggest(trial, spec)
        one = Tried(trial.number + 1, name, params)
        for step, fold in enumerate(folds):
            one.losses.append(fold.loss(spec, name, params))
            trial.report(one.loss, step)
            if step + 1 < len(folds) and trial.should_prune():
                note(Tried(one.number, name, params, one.losses, pruned=True))
                raise optuna.TrialPruned
        note(one)
        return one.loss

    study.optimize(objective, n_trials=spec.training.trials)


@dataclass(frozen=True)
class _Fold:
    """The rows of a fold, ready for a pipeline."""

    fit: Any
    fit_label: Any
    test: Any
    test_label: Any

    @classmethod
    def of(cls, spec: ProjectSpec, split: Split) -> list[_Fold]:
        """Make the folds that have both outcomes to learn from."""
        return [
            cls(
                candidates.frame(spec, fold.fit),
                fold.fit[spec.label],
                candidates.frame(spec, fold.test),
                fold.test[spec.label],
            )
            for fold in splits.folds(split.fit, split.boundary, spec.training.folds)
        ]

    def loss(self, spec: ProjectSpec, name: str, params: dict[str, Any]) -> float:
        """Fit a candidate and measure it on the test block."""
        pipeline = candidates.build(name, params, spec, spec.training.seed).fit(self.fit, self.fit_label)
        return evaluation.fold_loss(pipeline, self.test, self.test_label)
