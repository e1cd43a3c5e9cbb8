"""A sweep: models, feature sets and hyper-parameters compared on the folds of the search; nothing is registered.

Optuna asks for `WIDTH` trials at a time, whose folds are fitted side by side: on the cores, or on the workers of a Dask
cluster. The width does not depend on how many those are, so that a seed finds the same on any machine. The study is a
file in STACK_HOME: a sweep of the same data and question goes on where it was stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
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
from pandas import DataFrame

from stack.core import pages
from stack.core.settings import Settings
from stack.kit.models import Candidate
from stack.project import Project
from stack.specification.specs import ProjectSpec
from stack.training import candidates, charts, splits, training
from stack.training.evaluation import Judge
from stack.training.search import Fold
from stack.training.tracking import Tracker
from stack.training.workers import Measured, Workers, measured

WIDTH = 4
RANDOM_TRIALS = 10
"""Trials before the sampler begins to model what it has seen; the centres are among them."""
ALL = "all"
"""The set of all feature columns."""
RUN = "mlflow run"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Swept:
    """A finished sweep."""

    run_id: str
    page: Path
    best: dict[str, Any]
    """``features``, ``candidate``, ``params`` and what the search is after, under its name."""


@dataclass(frozen=True)
class Question:
    """What a sweep asks: the rows' folds, the candidates and the feature sets."""

    spec: ProjectSpec
    judge: Judge
    folds: list[Fold]
    found: dict[str, Candidate]

    @property
    def names(self) -> list[str]:
        """Candidates that compete; the baseline does where it is alone."""
        return [name for name in self.found if name != candidates.BASELINE] or list(self.found)

    def draw(self, trial: Trial) -> tuple[ProjectSpec, str, dict[str, Any]]:
        """Draw a feature set, a candidate and its parameters."""
        chosen = trial.suggest_categorical("features", list(feature_sets(self.spec)))
        name = trial.suggest_categorical("candidate", self.names)
        return subset(self.spec, chosen), name, candidates.draw(trial, name, self.found)

    def centres(self) -> Iterator[dict[str, Any]]:
        """Where the search begins: each candidate on each set, first on all columns."""
        for chosen in feature_sets(self.spec):
            yield from ({"features": chosen} | candidates.centre(name, self.found) for name in self.names)


def feature_sets(spec: ProjectSpec) -> dict[str, list[str]]:
    """Name -> columns: all of them, and the sets that project.yaml names."""
    return {ALL: list(spec.features.columns), **spec.training.feature_sets}


def subset(spec: ProjectSpec, name: str) -> ProjectSpec:
    """The specification with the feature columns of a set, in the specification's order."""
    wanted = feature_sets(spec)[name]
    columns = {column: kind for column, kind in spec.features.columns.items() if column in wanted}
    return spec.model_copy(update={"features": spec.features.model_copy(update={"columns": columns})})


def sweep(
    project: Project,
    frame: DataFrame,
    *,
    trials: int,
    cutoff: datetime,
    data_revision: str,
    code_version: str,
    workers: Workers,
    report: Callable[[str], None],
) -> Swept:
    """Compare models, feature sets and hyper-parameters, until `trials` are done; earlier ones of the question count.

    Logs a run to MLflow with a child for each trial, ``sweep.html``, ``trials.csv`` and ``best.yaml``; the page is also
    where the portal shows reports.

    Args:
        frame: labelled rows as for :func:`stack.training.training.train`; the holdout is not looked at.
        report: told about each trial, in one line.
    """
    frame = training.ordered(project.spec, frame, cutoff)
    split = splits.holdout(project.spec, frame, cutoff)
    asked = Question(
        project.spec,
        Judge.of(project.spec),
        Fold.all(project.spec, split),
        candidates.available(project.spec, len(split.fit)),
    )
    study = _study(project.settings, asked, cutoff, data_revision)
    tags = {
        "stack.project": project.spec.name,
        "stack.data_revision": data_revision,
        "stack.cutoff": cutoff.isoformat(),
    }
    tracker = Tracker(project, tags | {"stack.code_version": code_version})
    title = f"sweep of {project.spec.name} until {cutoff:%Y-%m-%d %H:%M}"
    with tracker.sweep(title, study.user_attrs.get(RUN)) as run_id, TemporaryDirectory() as made:
        study.set_user_attr(RUN, run_id)
        _note(tracker, asked, study, report, told=False)
        for _ in _rounds(study, asked, trials, workers):
            _note(tracker, asked, study, report)
        best, folder = _best(study, asked), Path(made)
        (folder / "best.yaml").write_text(advice(best, asked))
        study.trials_dataframe().to_csv(folder / "trials.csv", index=False)
        page = charts.page(title, study, asked.judge, advice(best, asked))
        (folder / "sweep.html").write_text(page)
        shown = project.settings.pages / project.spec.name / pages.sweep(f"{cutoff:%Y%m%dT%H%M%SZ}")
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(page)
        tracker.log(params=_flat(best), metrics={asked.judge.aim: best[asked.judge.aim]})
        tracker.artifacts(folder)
    return Swept(run_id, shown, best)


def advice(best: dict[str, Any], asked: Question) -> str:
    """What to write into project.yaml to begin a training at the best trial."""
    wanted = feature_sets(asked.spec)[best["features"]]
    left_out = [column for column in asked.spec.features.columns if column not in wanted]
    text = yaml.safe_dump({"training": {"centres": {best["candidate"]: best["params"]}}}, sort_keys=False)
    return text + (f"# and take out of features.columns: {', '.join(left_out)}\n" if left_out else "")


def _study(settings: Settings, asked: Question, cutoff: datetime, data_revision: str) -> Study:
    """Open the study of a question, or begin it; what a killed sweep left unfinished is asked again."""
    spec = asked.spec
    question = spec.training.model_dump(mode="json", exclude={"trials"}) | {"columns": dict(spec.features.columns)}
    text = json.dumps([question, spec.task, cutoff.isoformat(), data_revision, asked.names], sort_keys=True)
    file = settings.home / "sweeps" / f"{spec.name}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(file))),
        study_name=f"{spec.name} {hashlib.sha256(text.encode()).hexdigest()[:16]}",
        load_if_exists=True,
        pruner=MedianPruner(n_startup_trials=RANDOM_TRIALS // 2, n_warmup_steps=0),
    )
    if not study.trials:
        for centre in asked.centres():
            study.enqueue_trial(centre)
    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(left.number, state=TrialState.FAIL)
        study.enqueue_trial(left.params)
    return study


def _rounds(study: Study, asked: Question, trials: int, workers: Workers) -> Iterator[None]:
    """Run the trials that are missing, `WIDTH` at a time."""
    placed = workers.place(asked.folds)
    while (left := trials - len(_finished(study))) > 0:
        # A sampler of its own for each round: a sweep that goes on draws what it would have drawn.
        seed = asked.spec.training.seed + len(_finished(study))
        study.sampler = TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS, constant_liar=True)
        _round(study, asked, [study.ask() for _ in range(min(WIDTH, left))], placed, workers.executor)
        yield


def _round(study: Study, asked: Question, batch: list[Trial], placed: list[Any], executor: Executor) -> None:
    """Fit the trials of a round, fold by fold; the hopeless ones are given up in between."""
    going = [(trial, asked.draw(trial), list[Measured]()) for trial in batch]
    for step, fold in enumerate(placed):
        running = [executor.submit(measured, spec, fold, name, params) for _, (spec, name, params), _ in going]
        for (trial, _, found), future in zip(going, running, strict=True):
            found.append(future.result())
            trial.report(_mean(found), step)
            trial.set_user_attr("losses", [one.loss for one in found])
            trial.set_user_attr("hosts", [one.host for one in found])
        if step + 1 < len(placed):
            pruned = [one for one in going if one[0].should_prune()]
            for trial, _, _ in pruned:
                study.tell(trial, state=TrialState.PRUNED)
            going = [one for one in going if one not in pruned]
    for trial, _, found in going:
        study.tell(trial, _mean(found))


def _mean(found: list[Measured]) -> float:
    return sum(one.loss for one in found) / len(found)


def _finished(study: Study) -> list[FrozenTrial]:
    found: list[FrozenTrial] = study.get_trials(deepcopy=False, states=FINISHED)
    return found


def _note(tracker: Tracker, asked: Question, study: Study, report: Callable[[str], None], told: bool = True) -> None:
    """Log the finished trials that MLflow does not have, and say how they went."""
    judge, known = asked.judge, tracker.trials()
    for one in _finished(study):
        name, losses = f"trial {one.number}", [judge.sign * loss for loss in one.user_attrs["losses"]]
        if name in known:
            continue
        candidate = one.params["candidate"]
        params = candidates.params(one.params, candidate)
        pruned, mean = one.state == TrialState.PRUNED, sum(losses) / len(losses)
        tracker.trial(
            name,
            params={"features": one.params["features"], "candidate": candidate, **params},
            metrics={f"fold_{judge.aim}": losses, judge.aim: [mean]},
            pruned=pruned,
            hosts=one.user_attrs.get("hosts", ()),
        )
        if told:
            given_up = " (pruned)" if pruned else ""
            report(f"{name}: {candidate} on {one.params['features']} {judge.aim} {mean:.4f}{given_up}")


def _best(study: Study, asked: Question) -> dict[str, Any]:
    best = study.best_trial
    name = best.params["candidate"]
    drawn = {"features": best.params["features"], "candidate": name, "params": candidates.params(best.params, name)}
    return drawn | {asked.judge.aim: asked.judge.sign * float(best.value or 0.0)}


def _flat(best: dict[str, Any]) -> dict[str, Any]:
    return {"features": best["features"], "candidate": best["candidate"], **best["params"]}
