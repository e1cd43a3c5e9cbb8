"""Training: search, evaluate on the holdout, refit on everything known, register the version."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.core import code
from stack.core.errors import StackError
from stack.project import Project
from stack.registry.registry import METRICS
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates, evaluation, splits
from stack.training.evaluation import Scorer
from stack.training.export import export
from stack.training.search import TrialResult, Workers, search
from stack.training.splits import Split
from stack.training.tracking import Tracker

REFERENCE_ROWS = 10_000
EXPORT_ROWS = 2000
PACKAGES = (
    *("duckdb", "feast", "mlflow", "numpy", "onnxruntime", "optuna", "pandas", "pyarrow", "scikit-learn", "scipy"),
    *("skl2onnx", "skops"),
)
"""Packages that the outcome of a training depends on."""


@dataclass(frozen=True)
class TrainingResult:
    """A finished training."""

    run_id: str
    version: str
    metrics: dict[str, float]
    """Of the holdout, by the model fitted before it."""
    tags: dict[str, str]
    """Of the version: its project, data, cut-off and code."""


@dataclass(frozen=True)
class Recipe:
    """All inputs of a training: the same recipe gives the same metrics."""

    project: str
    cutoff: str
    since: str
    """Instant of the first row."""
    boundary: str
    """Start of the holdout; with a random split, the cut-off."""
    rows: int
    data_revision: str
    feature_service: str
    columns: dict[str, str]
    training: dict[str, Any]
    """The section ``training`` of project.yaml: candidates, trials, folds, holdout, seed."""
    candidate: str
    params: dict[str, Any]
    code_version: str
    code_digest: str
    """Of the files that the outcome depends on, see :func:`stack.core.code.digest`."""
    uncommitted: list[str] | None
    """Those of them that differ from the commit; None where git is not available."""
    python: str
    packages: dict[str, str]


def train(
    project: Project,
    frame: DataFrame,
    *,
    data_revision: str,
    cutoff: datetime,
    code_version: str,
    report: Callable[[str], None],
    workers: Workers | None = None,
) -> TrainingResult:
    """Train a project's model and register it as a new version, without an alias.

    Args:
        frame: labelled rows: ``event_id``, ``event_timestamp``, ``label_available_at``, the encoded label and the
            columns of ``features.columns``; in any order.
        data_revision: of the lake that the rows come from.
        cutoff: no label of `frame` became known after it.
        code_version: of the checkout.
        report: called with a line about each step.
        workers: fit the folds of the search; this thread does when omitted. The outcome is the same.

    Raises:
        StackError: rows are too few, hold one outcome only, or were labelled after the cut-off.
    """
    spec, scorer = project.spec, Scorer.of(project.spec)
    frame = ordered(spec, frame, cutoff)
    split = splits.holdout(spec, frame, cutoff)
    tags = _tags(spec, data_revision, cutoff, code_version)
    tracker = Tracker(project, tags)
    with tracker.training(f"{spec.name} until {cutoff:%Y-%m-%d %H:%M}") as run_id, TemporaryDirectory() as artifacts:
        folder = Path(artifacts)
        report(f"{len(split.fit):,} rows to search on, {len(split.test):,} held out{_holdout_of(spec, split)}")
        best = search(spec, split, lambda result: _log_trial(tracker, spec, scorer, result, report), workers)
        _write_recipe(_recipe(spec, frame, split, best, tags), folder / "recipe")
        metrics = evaluate(spec, split, best, folder)
        report(f"holdout of {best.candidate}: " + ", ".join(f"{name} {metrics[name]:.4f}" for name in scorer.headline))
        final = refit(spec, frame, best, folder)
        tracker.log(params=_params(spec, best, split), metrics=metrics)
        tracker.artifacts(folder)
        example = candidates.frame(spec, frame.head(5))
        version = tracker.register(final, example, _version_tags(spec, scorer, split, metrics))
        report(f"version {version} registered: {best.candidate}, fitted on {len(frame):,} rows")
    return TrainingResult(run_id, version, metrics, tags)


def evaluate(spec: ProjectSpec, split: Split, best: TrialResult, folder: Path) -> dict[str, float]:
    """Fit the best candidate before the holdout and evaluate it there.

    Writes ``holdout/holdout.parquet`` (the rows with their features and predictions), plots and the permutation
    importance.

    Returns:
        Metrics, with the first headline one of each slice of the gate.
    """
    scorer = Scorer.of(spec)
    features, label = candidates.frame(spec, split.test), split.test[spec.label]
    pipeline = candidates.fit(spec, best.candidate, best.params, split.fit)
    answer = scorer.task.predict(pipeline, features)
    rows = evaluation.answered(spec, split.test, answer)
    metrics = scorer.metrics(label, answer, _baseline(spec, split))
    for column in spec.gate.slices:
        scores = evaluation.slices(spec, rows, column)
        metrics |= {f"{scorer.headline[0]}.{column}.{value}": score for value, score in scores.items()}
    kept = ["event_id", "event_timestamp", "label_available_at", *_columns(spec)]
    _write(rows[kept], folder / "holdout" / "holdout.parquet")
    importances = evaluation.importance(pipeline, spec, features, label, spec.training.seed)
    importances.to_csv(folder / "importance.csv", index=False)
    evaluation.plots(spec, label, answer, importances, folder / "plots")
    return metrics


def refit(spec: ProjectSpec, frame: DataFrame, best: TrialResult, folder: Path) -> Pipeline:
    """Fit the best candidate on every row.

    Writes the served form and ``reference/reference.parquet``: a sample of the rows with the pipeline's own
    predictions, which the gate compares the served form with.
    """
    pipeline = candidates.fit(spec, best.candidate, best.params, frame)
    sample = frame.sample(min(REFERENCE_ROWS, len(frame)), random_state=spec.training.seed).sort_index()
    export(pipeline, spec, folder / "served", sample.head(EXPORT_ROWS))
    answer = tasks.of(spec).predict(pipeline, candidates.frame(spec, sample))
    kept = ["event_timestamp", *_columns(spec)]
    _write(evaluation.answered(spec, sample, answer)[kept], folder / "reference" / "reference.parquet")
    return pipeline


def ordered(spec: ProjectSpec, frame: DataFrame, cutoff: datetime) -> DataFrame:
    """Check the rows, and sort them: the order of the feature store is not defined."""
    late = int((frame["label_available_at"] > cutoff).sum())
    if late:
        raise StackError(
            f"training set of {spec.name}",
            found=f"{late:,} rows whose label became known after {cutoff.isoformat()}",
            expected="labels known at the cut-off only",
        )
    classes = tasks.of(spec).classes
    label = frame[spec.label].astype(float)
    invalid = label[~(label.isin(range(len(classes))) if classes else np.isfinite(label))].unique()
    if len(invalid):
        raise StackError(
            f"training set of {spec.name}, {spec.label}",
            found=", ".join(f"{value:g}" for value in invalid[:5]),
            expected=f"positions of classes, 0 to {len(classes) - 1}" if classes else "finite numbers",
        )
    return frame.sort_values(["event_timestamp", "event_id"], ignore_index=True)


def _columns(spec: ProjectSpec) -> list[str]:
    return [*spec.features.columns, spec.label, *tasks.of(spec).outputs]


def _tags(spec: ProjectSpec, data_revision: str, cutoff: datetime, code_version: str) -> dict[str, str]:
    return {
        "stack.project": spec.name,
        "stack.data_revision": data_revision,
        "stack.cutoff": cutoff.isoformat(),
        "stack.feature_service": spec.features.service,
        "stack.code_version": code_version,
        "stack.code_digest": code.digest(spec.name),
        "stack.seed": str(spec.training.seed),
    }


def _holdout_of(spec: ProjectSpec, split: Split) -> str:
    return f" after {split.boundary:%Y-%m-%d}" if spec.training.split == "time" else " at random"


def _log_trial(
    tracker: Tracker, spec: ProjectSpec, scorer: Scorer, result: TrialResult, report: Callable[[str], None]
) -> None:
    name = f"trial {result.number} of {spec.training.trials}" if result.number else "baseline"
    report(f"{name}: {result.summary(scorer)}")
    tracker.trial(
        f"{name}: {result.candidate}",
        params={"candidate": result.candidate, **result.params},
        metrics={
            f"fold_{scorer.objective}": [scorer.sign * loss for loss in result.losses],
            scorer.objective: [scorer.sign * result.loss],
        },
        pruned=result.pruned,
        hosts=result.hosts,
    )


def _baseline(spec: ProjectSpec, split: Split) -> np.ndarray:
    return tasks.of(spec).baseline(split.fit[spec.label])


def _params(spec: ProjectSpec, best: TrialResult, split: Split) -> dict[str, Any]:
    return {
        "candidate": best.candidate,
        **best.params,
        "seed": spec.training.seed,
        "trials": spec.training.trials,
        "fit_rows": len(split.fit),
        "holdout_rows": len(split.test),
        "boundary": split.boundary.isoformat(),
    }


def _version_tags(spec: ProjectSpec, scorer: Scorer, split: Split, metrics: dict[str, float]) -> dict[str, str]:
    """Return what the gate and the portal need of a version without reading its run."""
    return {
        METRICS: json.dumps(scorer.headline),
        "stack.boundary": split.boundary.isoformat(),
        "stack.baseline": json.dumps(_baseline(spec, split).tolist()),
        **{name: f"{metrics[name]:.4f}" for name in scorer.headline},
    }


def _recipe(spec: ProjectSpec, frame: DataFrame, split: Split, best: TrialResult, tags: dict[str, str]) -> Recipe:
    return Recipe(
        project=spec.name,
        cutoff=tags["stack.cutoff"],
        since=frame["event_timestamp"].min().isoformat(),
        boundary=split.boundary.isoformat(),
        rows=len(frame),
        data_revision=tags["stack.data_revision"],
        feature_service=spec.features.service,
        columns=dict(spec.features.columns),
        training=spec.training.model_dump(mode="json"),
        candidate=best.candidate,
        params=best.params,
        code_version=tags["stack.code_version"],
        code_digest=code.digest(spec.name),
        uncommitted=code.uncommitted(spec.name),
        python=platform.python_version(),
        packages={name: installed(name) for name in PACKAGES},
    )


def _write_recipe(recipe: Recipe, folder: Path) -> None:
    """Write the recipe, and beside it the files that no commit has."""
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")
    code.keep(recipe.uncommitted or [], folder / code.KEPT)


def _write(rows: DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path, index=False)
