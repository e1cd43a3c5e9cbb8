"""The search over candidates and hyper-parameters: Optuna, seeded, on the folds of the fit rows."""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler

from stack.core.errors import StackError
from stack.kit.models import Candidate
from stack.specification.specs import ProjectSpec
from stack.training import candidates, splits
from stack.training.evaluation import Scorer
from stack.training.splits import Split

RANDOM_TRIALS = 4
"""Trials before the sampler begins to model what it has seen; the centres are among them."""


@dataclass(frozen=True)
class Fold:
    """The rows of a fold, ready for a pipeline."""

    fit: Any
    fit_label: Any
    test: Any
    test_label: Any

    @classmethod
    def all(cls, spec: ProjectSpec, split: Split) -> list[Fold]:
        """Make the folds of a split.

        Raises:
            StackError: none has two outcomes to learn from.
        """
        made = [
            cls(
                candidates.frame(spec, fold.fit),
                fold.fit[spec.label],
                candidates.frame(spec, fold.test),
                fold.test[spec.label],
            )
            for fold in splits.folds(spec, split)
        ]
        if not made:
            raise StackError(
                f"folds of {spec.name}",
                found=f"{len(split.fit):,} rows in which no fold has two outcomes to learn from",
                expected="both outcomes in the first half of the time",
                todo="ingest more data",
            )
        return made

    def loss(self, spec: ProjectSpec, name: str, params: dict[str, Any]) -> float:
        """Fit a candidate and measure it on the test block."""
        pipeline = candidates.fit_on(spec, name, params, self.fit, self.fit_label)
        scorer = Scorer.of(spec)
        return scorer.loss(self.test_label, scorer.task.predict(pipeline, self.test))


@dataclass(frozen=True)
class Workers:
    """Threads of this machine, or the processes of a Dask cluster."""

    executor: Executor
    place: Callable[[list[Fold]], list[Any]] = list
    """Brings the folds near the workers; what it gives is passed to the executor in their stead."""


@dataclass(frozen=True)
class FoldScore:
    """What a candidate reached on a fold."""

    loss: float
    host: str
    """Name of the machine or container that fitted it."""


@dataclass(frozen=True)
class TrialResult:
    """A candidate with its parameters, and how it did."""

    number: int
    candidate: str
    params: dict[str, Any]
    losses: list[float] = field(default_factory=list)
    """What the search makes small, of each fold that was run."""
    hosts: list[str] = field(default_factory=list, compare=False)
    """The machine or container that fitted it, of each."""
    pruned: bool = False

    @property
    def loss(self) -> float:
        """Mean over the folds."""
        return sum(self.losses) / len(self.losses)

    def add(self, found: FoldScore) -> None:
        """Take in how it did on the next fold."""
        self.losses.append(found.loss)
        self.hosts.append(found.host)

    def summary(self, scorer: Scorer) -> str:
        """Return candidate, objective and loss in one line."""
        return f"{self.candidate} {scorer.objective} {scorer.sign * self.loss:.4f}{' (pruned)' if self.pruned else ''}"


def search(
    spec: ProjectSpec, split: Split, done: Callable[[TrialResult], None], workers: Workers | None = None
) -> TrialResult:
    """Try the candidates on folds of the fit part; the holdout is not looked at.

    The trials follow one another, as each draws from what the earlier ones have found: workers fit the folds of a
    trial side by side, and the outcome is the same wherever they are.

    Args:
        split: its `fit` rows are used.
        done: called after each trial; the baseline without parameters is number 0.
        workers: fit the folds; this thread does when omitted.

    Returns:
        The best that ran on every fold.

    Raises:
        StackError: no fold has two outcomes to learn from.
    """
    folds, found = Fold.all(spec, split), candidates.available(spec, len(split.fit))
    placed = workers.place(folds) if workers else folds
    tried: list[TrialResult] = []

    def measure(one: TrialResult) -> Generator[FoldScore, None, None]:
        return score_folds(workers, spec, placed, one.candidate, one.params)

    def note(one: TrialResult) -> None:
        tried.append(one)
        done(one)

    for name, one in found.items():
        if one.space is None:
            baseline = TrialResult(0, name, dict(one.initial_params))
            for result in measure(baseline):
                baseline.add(result)
            note(baseline)
    if candidates.searched(found):
        _optimise(spec, found, len(folds), measure, note)
    return min((one for one in tried if not one.pruned), key=lambda one: one.loss)


def _optimise(
    spec: ProjectSpec,
    found: dict[str, Candidate],
    folds: int,
    measure: Callable[[TrialResult], Generator[FoldScore, None, None]],
    note: Callable[[TrialResult], None],
) -> None:
    """Run the trials: the centre of each candidate first, then what the sampler draws."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=TPESampler(seed=spec.training.seed, n_startup_trials=RANDOM_TRIALS, multivariate=False),
        pruner=MedianPruner(n_startup_trials=len(candidates.searched(found)), n_warmup_steps=0),
    )
    for name in candidates.searched(found):
        study.enqueue_trial(candidates.centre(name, found))

    def objective(trial: optuna.Trial) -> float:
        name, params = candidates.suggest(trial, found)
        one = TrialResult(trial.number + 1, name, params)
        with closing(measure(one)) as results:
            for step, result in enumerate(results):
                one.add(result)
                trial.report(one.loss, step)
                if step + 1 < folds and trial.should_prune():
                    note(replace(one, pruned=True))
                    raise optuna.TrialPruned
        note(one)
        return one.loss

    study.optimize(objective, n_trials=spec.training.trials)


def score_fold(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> FoldScore:
    """Fit a candidate on the feature columns of a specification, and measure it on a fold."""
    columns = [*spec.column_types("number"), *spec.column_types("category")]
    narrowed = replace(fold, fit=fold.fit[columns], test=fold.test[columns])
    return FoldScore(float(narrowed.loss(spec, name, params)), socket.gethostname())


def score_folds(
    workers: Workers | None, spec: ProjectSpec, folds: list[Any], name: str, params: dict[str, Any]
) -> Generator[FoldScore, None, None]:
    """Measure a candidate on each fold, in their order; workers begin all at once, with the last: it is the longest.

    Args:
        workers: None fits a fold here when it is asked for.
        folds: as the workers have placed them.
    """
    if workers is None:
        yield from (score_fold(spec, fold, name, params) for fold in folds)
        return
    begun = [workers.executor.submit(score_fold, spec, fold, name, params) for fold in reversed(folds)]
    try:
        for one in reversed(begun):
            yield one.result()
    finally:
        for one in begun:  # of a candidate that is given up
            one.cancel()
