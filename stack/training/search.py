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
"""Trials before the sampler starts to model their results; the first trial of each candidate is among them."""


@dataclass(frozen=True)
class Fold:
    """The rows of a fold, as input of a pipeline."""

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
        folds = [
            cls(
                candidates.frame(spec, fold.fit),
                fold.fit[spec.label],
                candidates.frame(spec, fold.test),
                fold.test[spec.label],
            )
            for fold in splits.folds(spec, split)
        ]
        if not folds:
            raise StackError(
                f"folds of {spec.name}",
                found=f"{len(split.fit):,} rows in which no fold has two outcomes to learn from",
                expected="both outcomes in the first half of the time",
                todo="ingest more data",
            )
        return folds

    def loss(self, spec: ProjectSpec, name: str, params: dict[str, Any]) -> float:
        """Fit a candidate and return its loss on the test block."""
        pipeline = candidates.fit_on(spec, name, params, self.fit, self.fit_label)
        scorer = Scorer.of(spec)
        return scorer.loss(self.test_label, scorer.task.predict(pipeline, self.test))


@dataclass(frozen=True)
class Workers:
    """Threads of this machine, or the processes of a Dask cluster."""

    executor: Executor
    place: Callable[[list[Fold]], list[Any]] = list
    """Copies the folds to the workers; what it returns is passed to the executor in their place."""


@dataclass(frozen=True)
class FoldScore:
    """The loss of a candidate on a fold."""

    loss: float
    host: str
    """Name of the machine or container that fitted it."""


@dataclass(frozen=True)
class TrialResult:
    """A candidate with its parameters, and its losses."""

    number: int
    candidate: str
    params: dict[str, Any]
    losses: list[float] = field(default_factory=list)
    """What the search minimises, of each fold that was run."""
    hosts: list[str] = field(default_factory=list, compare=False)
    """The machine or container that fitted it, of each fold."""
    pruned: bool = False

    @property
    def loss(self) -> float:
        """Return the mean loss over the folds."""
        return sum(self.losses) / len(self.losses)

    def add(self, score: FoldScore) -> None:
        """Add the score of the next fold."""
        self.losses.append(score.loss)
        self.hosts.append(score.host)

    def summary(self, scorer: Scorer) -> str:
        """Return candidate, objective and loss in one line."""
        return f"{self.candidate} {scorer.objective} {scorer.sign * self.loss:.4f}{' (pruned)' if self.pruned else ''}"


def search(
    spec: ProjectSpec, split: Split, done: Callable[[TrialResult], None], workers: Workers | None = None
) -> TrialResult:
    """Try the candidates on folds of the fit part; the holdout is not used.

    The trials run one after the other, as each depends on the results of the earlier ones: workers fit the folds of a
    trial in parallel, and the outcome is the same wherever they are.

    Args:
        split: its `fit` rows are used.
        done: called after each trial; the baseline without parameters is number 0.
        workers: fit the folds; this thread when omitted.

    Returns:
        The best that ran on every fold.

    Raises:
        StackError: no fold has two outcomes to learn from.
    """
    folds, known = Fold.all(spec, split), candidates.available(spec, len(split.fit))
    placed = workers.place(folds) if workers else folds
    results: list[TrialResult] = []

    def scores(trial: TrialResult) -> Generator[FoldScore, None, None]:
        return score_folds(workers, spec, placed, trial.candidate, trial.params)

    def finish(result: TrialResult) -> None:
        results.append(result)
        done(result)

    for name, candidate in known.items():
        if candidate.space is None:
            baseline = TrialResult(0, name, dict(candidate.initial_params))
            for score in scores(baseline):
                baseline.add(score)
            finish(baseline)
    if candidates.searched(known):
        _optimise(spec, known, len(folds), scores, finish)
    return min((result for result in results if not result.pruned), key=lambda result: result.loss)


def _optimise(
    spec: ProjectSpec,
    known: dict[str, Candidate],
    folds: int,
    scores: Callable[[TrialResult], Generator[FoldScore, None, None]],
    finish: Callable[[TrialResult], None],
) -> None:
    """Run the trials: the initial parameters of each candidate first, then what the sampler suggests."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=TPESampler(seed=spec.training.seed, n_startup_trials=RANDOM_TRIALS, multivariate=False),
        pruner=MedianPruner(n_startup_trials=len(candidates.searched(known)), n_warmup_steps=0),
    )
    for name in candidates.searched(known):
        study.enqueue_trial(candidates.initial_params(name, known))

    def objective(trial: optuna.Trial) -> float:
        name, params = candidates.suggest(trial, known)
        result = TrialResult(trial.number + 1, name, params)
        with closing(scores(result)) as folds_scored:
            for step, score in enumerate(folds_scored):
                result.add(score)
                trial.report(result.loss, step)
                if step + 1 < folds and trial.should_prune():
                    finish(replace(result, pruned=True))
                    raise optuna.TrialPruned
        finish(result)
        return result.loss

    study.optimize(objective, n_trials=spec.training.trials)


def score_fold(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> FoldScore:
    """Fit a candidate on the feature columns of a specification, and score it on a fold."""
    columns = [*spec.column_types("number"), *spec.column_types("category")]
    narrowed = replace(fold, fit=fold.fit[columns], test=fold.test[columns])
    return FoldScore(float(narrowed.loss(spec, name, params)), socket.gethostname())


def score_folds(
    workers: Workers | None, spec: ProjectSpec, folds: list[Any], name: str, params: dict[str, Any]
) -> Generator[FoldScore, None, None]:
    """Score a candidate on each fold, in their order; workers start all at once, with the last, which is the longest.

    Args:
        workers: None fits each fold in this thread when its score is requested.
        folds: as the workers have placed them.
    """
    if workers is None:
        yield from (score_fold(spec, fold, name, params) for fold in folds)
        return
    futures = [workers.executor.submit(score_fold, spec, fold, name, params) for fold in reversed(folds)]
    try:
        for future in reversed(futures):
            yield future.result()
    finally:
        for future in futures:  # of a pruned trial
            future.cancel()
