"""A sweep: models, feature sets and hyper-parameters compared on the folds of the search; nothing is registered.

Optuna suggests `WIDTH` trials at a time, whose folds are fitted in parallel: on the cores, or on the workers of a Dask
cluster. The width does not depend on their number, so that a seed gives the same result on any machine. The study is a
file in STACK_HOME: a sweep of the same data and search space resumes where it was stopped.
"""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import yaml
from optuna import Study, Trial
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from stack.core import files, pages
from stack.core.notices import Reporter
from stack.core.settings import Settings
from stack.core.workers import Workers
from stack.kit.models import Candidate
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training import candidates, splits, sweep_page, training
from stack.training.evaluation import Scorer
from stack.training.search import Fold, FoldScore, TrialResult, prepare_folds, score_fold
from stack.training.tracking import Tracker
from stack.training.training import TrainingSet

WIDTH = 4
RANDOM_TRIALS = 10
"""Trials before the sampler starts to model their results; the first trial of each candidate is among them."""
ALL = "all"
"""The set of all feature columns."""
RUN = "mlflow run"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep."""

    run_id: str
    page: Path
    best: dict[str, Any]
    """``features``, ``candidate``, ``params`` and the objective, under its name."""


@dataclass(frozen=True)
class SearchSpace:
    """The candidates and feature sets of a sweep, and the folds that they are compared on."""

    spec: ProjectSpec
    scorer: Scorer
    folds: list[Fold]
    known: dict[str, Candidate]

    @property
    def names(self) -> list[str]:
        """Return the candidates that are compared: without the baseline, unless it is alone."""
        return [name for name in self.known if name != candidates.BASELINE] or list(self.known)

    def suggest(self, trial: Trial) -> tuple[ProjectSpec, TrialResult]:
        """Suggest a feature set, and a candidate with its parameters that has no scores yet."""
        features = trial.suggest_categorical("features", list(feature_sets(self.spec)))
        name = trial.suggest_categorical("candidate", self.names)
        params = candidates.suggest_params(trial, name, self.known)
        return subset(self.spec, features), TrialResult(trial.number, name, params, features=features)

    def initial_params(self) -> Iterator[dict[str, Any]]:
        """Yield the first trials: each candidate on each feature set, first on all columns."""
        for features in feature_sets(self.spec):
            yield from ({"features": features} | candidates.initial_params(name, self.known) for name in self.names)


def feature_sets(spec: ProjectSpec) -> dict[str, list[str]]:
    """Return name -> columns: all of them, and the sets of project.yaml."""
    return {ALL: list(spec.features.columns), **spec.training.feature_sets}


def subset(spec: ProjectSpec, name: str) -> ProjectSpec:
    """Return the specification with the feature columns of a set, in the specification's order."""
    names = feature_sets(spec)[name]
    columns = {column: kind for column, kind in spec.features.columns.items() if column in names}
    return spec.model_copy(update={"features": spec.features.model_copy(update={"columns": columns})})


def sweep(project: Project, data: TrainingSet, *, trials: int, workers: Workers, report: Reporter) -> SweepResult:
    """Compare models, feature sets and hyper-parameters, until `trials` are done; those of an earlier run count.

    Logs a run to MLflow with a child for each trial, ``sweep.html``, ``trials.csv`` and ``best.yaml``; the page is also
    among the reports of the portal.

    Args:
        data: its holdout is not used.
        report: called with a line about each trial.
    """
    spec, cutoff = project.spec, data.cutoff
    split = splits.holdout(spec, training.ordered(spec, data.rows, cutoff), cutoff)
    space = SearchSpace(spec, Scorer.of(spec), prepare_folds(spec, split), candidates.available(spec, len(split.fit)))
    study = _study(project.settings, space, cutoff, data.data_revision)
    tracker = Tracker(project, data.tags(spec))
    title = f"sweep of {spec.name} until {cutoff:%Y-%m-%d %H:%M}"
    with tracker.run(title, "sweep", study.user_attrs.get(RUN)) as run_id, TemporaryDirectory() as artifacts:
        study.set_user_attr(RUN, run_id)
        _log_trials(tracker, space, study)
        for _ in _rounds(study, space, trials, workers):
            _log_trials(tracker, space, study, report)
        result, folder = _result(study.best_trial), Path(artifacts)
        objective = {space.scorer.objective: space.scorer.sign * result.loss}
        best = {"features": result.features, "candidate": result.candidate, "params": result.params, **objective}
        (folder / "best.yaml").write_text(advice(best, space))
        study.trials_dataframe().to_csv(folder / "trials.csv", index=False)
        html = sweep_page.render(title, study, space.scorer, advice(best, space))
        page = project.settings.pages / spec.name / pages.sweep(f"{cutoff:%Y%m%dT%H%M%SZ}")
        for path in (folder / "sweep.html", page):
            files.write(path, html)
        tracker.log(result.choice, objective)
        tracker.artifacts(folder)
    return SweepResult(run_id, page, best)


def advice(best: dict[str, Any], space: SearchSpace) -> str:
    """Return what to write into project.yaml so that a training starts from the best trial."""
    columns = feature_sets(space.spec)[best["features"]]
    left_out = [column for column in space.spec.features.columns if column not in columns]
    text = yaml.safe_dump({"training": {"initial_params": {best["candidate"]: best["params"]}}}, sort_keys=False)
    return text + (f"# and take out of features.columns: {', '.join(left_out)}\n" if left_out else "")


def _study(settings: Settings, space: SearchSpace, cutoff: datetime, data_revision: str) -> Study:
    """Open or create the study of a question; a trial that a killed sweep left unfinished is enqueued again."""
    spec = space.spec
    question = spec.training.model_dump(mode="json", exclude={"trials"}) | {"columns": dict(spec.features.columns)}
    text = json.dumps([question, spec.task, cutoff.isoformat(), data_revision, space.names], sort_keys=True)
    file = settings.home / "sweeps" / f"{spec.name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        study_name=f"{spec.name} {hashlib.sha256(text.encode()).hexdigest()[:16]}",
        load_if_exists=True,
        pruner=MedianPruner(n_startup_trials=RANDOM_TRIALS // 2),
    )
    if not study.trials:
        for params in space.initial_params():
            study.enqueue_trial(params)
    for unfinished in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(unfinished.number, state=TrialState.FAIL)
        study.enqueue_trial(unfinished.params)
    return study


def _rounds(study: Study, space: SearchSpace, trials: int, workers: Workers) -> Iterator[None]:
    """Run the trials that are missing, `WIDTH` at a time."""
    placed = workers.place(space.folds)
    while (left := trials - len(_finished(study))) > 0:
        # A new sampler for each round: a resumed sweep suggests what an uninterrupted one would have.
        seed = space.spec.training.seed + len(_finished(study))
        study.sampler = TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
        _round(study, space, [study.ask() for _ in range(min(WIDTH, left))], placed, workers.executor)
        yield


def _round(study: Study, space: SearchSpace, batch: list[Trial], placed: list[Any], executor: Executor) -> None:
    """Fit the trials of a round, fold by fold; unpromising trials are pruned in between."""
    running = [(trial, *space.suggest(trial)) for trial in batch]
    for step, fold in enumerate(placed):
        futures = [executor.submit(score_fold, spec, fold, item.candidate, item.params) for _, spec, item in running]
        for (trial, _, result), future in zip(running, futures, strict=True):
            result.scores.append(future.result())
            trial.report(result.loss, step)
            trial.set_user_attr("losses", result.losses)
            trial.set_user_attr("hosts", [score.host for score in result.scores])
        if step + 1 < len(placed):
            pruned = [trial for trial, _, _ in running if trial.should_prune()]
            for trial in pruned:
                study.tell(trial, state=TrialState.PRUNED)
            running = [item for item in running if item[0] not in pruned]
    for trial, _, result in running:
        study.tell(trial, result.loss)


def _finished(study: Study) -> list[FrozenTrial]:
    trials: list[FrozenTrial] = study.get_trials(deepcopy=False, states=FINISHED)
    return trials


def _log_trials(tracker: Tracker, space: SearchSpace, study: Study, report: Reporter | None = None) -> None:
    """Log the finished trials that MLflow does not have yet, and report them."""
    logged = tracker.trials()
    for trial in _finished(study):
        name, result = f"trial {trial.number}", _result(trial)
        if name not in logged:
            tracker.trial(name, result, space.scorer)
            if report:
                report(f"{name}: {result.summary(space.scorer)}")


def _result(trial: FrozenTrial) -> TrialResult:
    """Return a finished trial of a study as the search describes its own."""
    name, attributes = trial.params["candidate"], trial.user_attrs
    return TrialResult(
        trial.number,
        name,
        candidates.params(trial.params, name),
        [FoldScore(*score) for score in zip(attributes["losses"], attributes["hosts"], strict=True)],
        trial.params["features"],
        trial.state == TrialState.PRUNED,
    )
