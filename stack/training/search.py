"""The search over candidates and hyper-parameters: Optuna, seeded, on the folds of the fit rows."""

import socket
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

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


class Fold(NamedTuple):
    """The rows of a fold, as input of a pipeline."""

    fit: Any
    fit_label: Any
    test: Any
    test_label: Any


class FoldScore(NamedTuple):
    """The loss of a candidate on a fold."""

    loss: float
    host: str
    """Name of the machine or container that fitted it."""


@dataclass(frozen=True)
class Workers:
    """Threads of this machine, or the processes of a Dask cluster."""

    executor: Executor
    place: Callable[[list[Fold]], list[Any]] = list
    """Copies the folds to the workers; what it returns is passed to the executor in their place."""


@dataclass(frozen=True)
class TrialResult:
    """A candidate with its parameters, and its scores on the folds that were run."""

    number: int
    candidate: str
    params: dict[str, Any]
    scores: list[FoldScore] = field(default_factory=list)
    features: str = ""
    """Name of the set of feature columns, in a sweep."""
    pruned: bool = False

    @property
    def losses(self) -> list[float]:
        """Return what the search minimises, of each fold."""
        return [score.loss for score in self.scores]

    @property
    def loss(self) -> float:
        """Return the mean loss over the folds."""
        return sum(self.losses) / len(self.losses)

    @property
    def choice(self) -> dict[str, Any]:
        """Return the feature set, the candidate and its parameters, to be logged."""
        return {**({"features": self.features} if self.features else {}), "candidate": self.candidate, **self.params}

    def summary(self, scorer: Scorer) -> str:
        """Return candidate, objective and its value in one line."""
        features = f" on {self.features}" if self.features else ""
        value = f"{scorer.objective} {scorer.sign * self.loss:.4f}"
        return f"{self.candidate}{features} {value}{' (pruned)' if self.pruned else ''}"


def prepare_folds(spec: ProjectSpec, split: Split) -> list[Fold]:
    """Return the folds of the fit rows of a split.

    Raises:
        StackError: none has two outcomes to learn from.
    """
    label = spec.label
    folds = [
        Fold(candidates.frame(spec, fold.fit), fold.fit[label], candidates.frame(spec, fold.test), fold.test[label])
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


def search(
    spec: ProjectSpec, split: Split, done: Callable[[TrialResult], None], workers: Workers | None = None
) -> TrialResult:
    """Try the candidates on folds of the fit part; return the best that ran on every fold. The holdout is not used.

    The trials run one after the other, as each depends on the results of the earlier ones: workers fit the folds of a
    trial in parallel, and the outcome is the same wherever they are.

    Args:
        done: called after each trial; the baseline without parameters is number 0.
        workers: fit the folds; this thread when omitted.

    Raises:
        StackError: no fold has two outcomes to learn from.
    """
    folds, known = prepare_folds(spec, split), candidates.available(spec, len(split.fit))
    scores = partial(score_folds, workers, spec, workers.place(folds) if workers else folds)
    results: list[TrialResult] = []

    def finish(result: TrialResult) -> None:
        results.append(result)
        done(result)

    for name, candidate in known.items():
        if candidate.space is None:
            params = dict(candidate.initial_params)
            finish(TrialResult(0, name, params, list(scores(name, params))))
    if candidates.searched(known):
        _optimise(spec, known, len(folds), scores, finish)
    return min((result for result in results if not result.pruned), key=lambda result: result.loss)


def _optimise(
    spec: ProjectSpec,
    known: dict[str, Candidate],
    folds: int,
    scores: Callable[[str, dict[str, Any]], Generator[FoldScore, None, None]],
    finish: Callable[[TrialResult], None],
) -> None:
    """Run the trials: the initial parameters of each candidate first, then what the sampler suggests."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        sampler=TPESampler(seed=spec.training.seed, n_startup_trials=RANDOM_TRIALS),
        pruner=MedianPruner(n_startup_trials=len(candidates.searched(known))),
    )
    for name in candidates.searched(known):
        study.enqueue_trial(candidates.initial_params(name, known))

    def objective(trial: optuna.Trial) -> float:
        name, params = candidates.suggest(trial, known)
        result = TrialResult(trial.number + 1, name, params)
        with closing(scores(name, params)) as fold_scores:
            for step, score in enumerate(fold_scores):
                result.scores.append(score)
                trial.report(result.loss, step)
                if step + 1 < folds and trial.should_prune():
                    finish(replace(result, pruned=True))
                    raise optuna.TrialPruned
        finish(result)
        return result.loss

    study.optimize(objective, n_trials=spec.training.trials)


def score_fold(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> FoldScore:
    """Fit a candidate on the feature columns of a specification, and score it on a fold."""
    columns, scorer = [*spec.column_types("number"), *spec.column_types("category")], Scorer.of(spec)
    pipeline = candidates.fit_on(spec, name, params, fold.fit[columns], fold.fit_label)
    loss = scorer.loss(fold.test_label, scorer.task.predict(pipeline, fold.test[columns]))
    return FoldScore(float(loss), socket.gethostname())


def score_folds(
    workers: Workers | None, spec: ProjectSpec, folds: list[Any], name: str, params: dict[str, Any]
) -> Generator[FoldScore, None, None]:
    """Score a candidate on each fold, in their order; workers start all at once, with the last, which is the longest.

    Without workers, this thread fits a fold when its score is requested.
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
