"""The search over candidates and hyper-parameters: Optuna, seeded, on the folds of the fit rows."""

import socket
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace
from functools import partial
from statistics import mean, median
from typing import Any, NamedTuple, Self

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from stack.core.errors import StackError
from stack.core.workers import Workers
from stack.kit.models import Candidate
from stack.specification import tasks
from stack.specification.calibration import Points
from stack.specification.calibration import apply as calibrate
from stack.specification.specs import ProjectSpec
from stack.training import calibration, candidates, splits, thresholds
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
    weight: Any = None
    """Of the fit rows, (rows,); None where they count alike."""


class FoldScore(NamedTuple):
    """The loss of a candidate on a fold."""

    loss: float
    host: str
    """Name of the machine or container that fitted it."""
    found: dict[str, int] = {}
    """Parameters that early stopping has found."""


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
    threshold: float | None = None
    """Of the best, where decisions have costs."""
    calibration: Points = ()
    """Of the best, where it helps on the folds."""
    calibration_gain: float | None = None
    """By how much it lowers the log-loss there; None where no calibration was tried."""

    def specification(self, spec: ProjectSpec) -> ProjectSpec:
        """Return a specification with the threshold and the calibration that were found."""
        return spec.with_threshold(self.threshold).with_calibration(self.calibration)

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
        optional = {"features": self.features, "threshold": self.threshold, "calibration": self.calibration}
        optional |= {"calibration_gain": self.calibration_gain}
        given = {name: value for name, value in optional.items() if value not in (None, "", ())}
        return {**given, "candidate": self.candidate, **self.params}

    def with_found(self) -> Self:
        """Return the result with the parameters that early stopping has found, each the mean of the folds."""
        found = {name: [score.found[name] for score in self.scores] for name in self.scores[0].found}
        return replace(self, params=self.params | {name: round(mean(counts)) for name, counts in found.items()})

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
        Fold(
            candidates.frame(spec, fold.fit),
            fold.fit[label],
            candidates.frame(spec, fold.test),
            fold.test[label],
            candidates.weights(spec, fold.fit),
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


def search(
    spec: ProjectSpec, split: Split, done: Callable[[TrialResult], None], workers: Workers | None = None
) -> TrialResult:
    """Try the candidates on folds of the fit part; return the best that ran on every fold. The holdout is not used.

    A trial depends on the results of the earlier ones, but for those that are drawn at random: workers fit the folds of
    these, and then of each later trial, in parallel. The outcome is the same wherever they are.

    Args:
        done: called after each trial; the baseline without parameters is number 0.
        workers: fit the folds; this thread when omitted.

    Raises:
        StackError: no fold has two outcomes to learn from.
    """
    folds, known = prepare_folds(spec, split), candidates.available(spec, len(split.fit))
    placed = workers.place(folds) if workers else folds
    start = partial(Fits, workers.executor if workers else None, spec, placed)
    results: list[TrialResult] = []

    def finish(result: TrialResult) -> None:
        results.append(result)
        done(result)

    for name, candidate in known.items():
        if candidate.space is None:
            fits = start(name, dict(candidate.initial_params))
            fits.begin(fits.count)
            scores = [fits.score(fold) for fold in range(fits.count)]
            finish(TrialResult(0, name, fits.params, scores).with_found())
    if candidates.searched(known):
        _optimise(spec, known, start, finish)
    best = min((result for result in results if not result.pruned), key=lambda result: result.loss)
    if spec.costs is None and not spec.calibrates:
        return best
    parts = [(spec, fold, best.candidate, best.params) for fold in placed]
    futures = [workers.executor.submit(_answer, *part) for part in parts] if workers else []
    answers = [future.result() for future in futures] or [_answer(*part) for part in parts]
    return _decided(spec, split, [fold.test_label for fold in folds], answers, best)


def _decided(spec: ProjectSpec, split: Split, labels: list[Any], answers: list[Any], best: TrialResult) -> TrialResult:
    """Return the best with its calibration and threshold, from its answers to the test rows of the folds."""
    if spec.calibrates:
        points, gain = calibration.choose(labels, answers)
        best = replace(best, calibration=points, calibration_gain=gain)
    if spec.costs is None:
        return best
    calibrated = [calibrate(best.calibration, answer) for answer in answers]
    tests = [fold.test for fold in splits.folds(spec, split)]
    return replace(best, threshold=thresholds.choose(spec, labels, calibrated, tests))


def _answer(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> Any:
    """Return the probabilities of a fold's test rows."""
    pipeline = candidates.fit_on(spec, name, params, fold.fit, fold.fit_label, fold.weight)[0]
    return tasks.of(spec).predict(pipeline, fold.test)[:, 0]


class Fits:
    """The fits of a candidate on the folds: by the threads or processes of an executor, else when a score is read."""

    def __init__(
        self, executor: Executor | None, spec: ProjectSpec, folds: list[Any], name: str, params: dict[str, Any]
    ) -> None:
        self.name, self.params, self.count = name, params, len(folds)
        self.parallel = executor is not None
        self._executor, self._spec, self._folds = executor, spec, folds
        self._futures: dict[int, Future[FoldScore]] = {}

    def begin(self, count: int) -> None:
        """Begin the first `count` folds, the last first, which is the longest."""
        for fold in reversed(range(count)):
            if self._executor and fold not in self._futures:
                self._futures[fold] = self._executor.submit(
                    score_fold, self._spec, self._folds[fold], self.name, self.params
                )

    def score(self, fold: int) -> FoldScore:
        """Return the score of a fold, which is fitted now where it was not begun."""
        if fold in self._futures:
            return self._futures[fold].result()
        return score_fold(self._spec, self._folds[fold], self.name, self.params)

    def cancel(self) -> None:
        """Leave out the folds that have not begun, of a pruned trial."""
        for future in self._futures.values():
            future.cancel()


def _optimise(
    spec: ProjectSpec,
    known: dict[str, Candidate],
    start: Callable[[str, dict[str, Any]], Fits],
    finish: Callable[[TrialResult], None],
) -> None:
    """Run the trials: the initial parameters of each candidate first, then what the sampler suggests."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searched, trials = candidates.searched(known), spec.training.trials
    study = optuna.create_study(
        sampler=TPESampler(seed=spec.training.seed, n_startup_trials=RANDOM_TRIALS),
        pruner=MedianPruner(n_startup_trials=len(searched)),
    )
    for name in searched:
        study.enqueue_trial(candidates.initial_params(name, known))

    def ask() -> tuple[optuna.Trial, Fits]:
        trial = study.ask()
        return trial, start(*candidates.suggest(trial, known))

    asked = [ask() for _ in range(min(RANDOM_TRIALS, trials))]
    try:
        _begin([fits for _, fits in asked if fits.parallel], len(searched))
        for number in range(trials):
            if number == len(asked):
                asked.append(ask())
                asked[number][1].begin(asked[number][1].count)
            finish(_run(study, *asked[number]))
    finally:
        for _, fits in asked:
            fits.cancel()


def _begin(trials: list[Fits], unpruned: int) -> None:
    """Begin the first fold of some trials, then the others of those that :class:`MedianPruner` will not prune there.

    Args:
        unpruned: the pruner lets so many trials run to their end.
    """
    for fits in trials:
        fits.begin(1)
    losses: list[float] = []
    for fits in trials:
        loss = fits.score(0).loss
        if len(losses) < unpruned or loss <= median(losses):
            losses.append(loss)
            fits.begin(fits.count)


def _run(study: optuna.Study, trial: optuna.Trial, fits: Fits) -> TrialResult:
    """Read the scores of a trial, fold by fold, until the pruner gives it up; return its result."""
    result = TrialResult(trial.number + 1, fits.name, fits.params)
    for fold in range(fits.count):
        result.scores.append(fits.score(fold))
        trial.report(result.loss, fold)
        if fold + 1 < fits.count and trial.should_prune():
            fits.cancel()
            study.tell(trial, state=TrialState.PRUNED)
            return replace(result, pruned=True)
        fits.begin(fits.count)
    study.tell(trial, result.loss)
    return result.with_found()


def score_fold(spec: ProjectSpec, fold: Fold, name: str, params: dict[str, Any]) -> FoldScore:
    """Fit a candidate on the feature columns of a specification, and score it on a fold."""
    columns, scorer = spec.column_types("number", "category", "text"), Scorer.of(spec)
    test = fold.test[columns]
    stop = (test, fold.test_label)
    pipeline, found = candidates.fit_on(spec, name, params, fold.fit[columns], fold.fit_label, fold.weight, stop)
    loss = scorer.loss(fold.test_label, scorer.task.predict(pipeline, test))
    return FoldScore(float(loss), socket.gethostname(), found)
