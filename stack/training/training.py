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
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates, evaluation, splits
from stack.training.evaluation import Judge
from stack.training.export import export
from stack.training.search import Tried, search
from stack.training.splits import Split
from stack.training.tracking import Tracker
from stack.training.workers import Workers

REFERENCE_ROWS = 10_000
EXPORT_ROWS = 2000
PACKAGES = (
    *("duckdb", "feast", "mlflow", "numpy", "onnxruntime", "optuna", "pandas", "pyarrow", "scikit-learn", "scipy"),
    *("skl2onnx", "skops"),
)
"""What a training's outcome depends on."""


@dataclass(frozen=True)
class Trained:
    """A finished training."""

    run_id: str
    version: str
    metrics: dict[str, float]
    """Of the holdout, by the model fitted before it."""
    tags: dict[str, str]
    """Of the version: its project, data, cut-off and code."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training: the same recipe gives the same metrics."""

    project: str
    cutoff: str
    since: str
    """Instant of the first row."""
    boundary: str
    """By time the holdout begins here; at random it is the cut-off."""
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
    """Of the files that decide the outcome, as :func:`stack.core.code.digest` gives it."""
    uncommitted: list[str] | None
    """Those of them that were not as the commit has them; None where git could not be asked."""
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
) -> Trained:
    """Train a project's model and register it as a new version, without an alias.

    Args:
        frame: labelled rows: ``event_id``, ``event_timestamp``, ``label_available_at``, the encoded label and the
            columns of ``features.columns``; in any order.
        data_revision: of the lake that the rows come from.
        cutoff: no label of `frame` became known after it.
        code_version: of the checkout.
        report: told about each step, in one line.
        workers: fit the folds of the search; this thread does when omitted. The outcome is the same.

    Raises:
        StackError: rows are too few, hold one outcome only, or were labelled after the cut-off.
    """
    frame = ordered(project.spec, frame, cutoff)
    split = splits.holdout(project.spec, frame, cutoff)
    tags = {
        "stack.project": project.spec.name,
        "stack.data_revision": data_revision,
        "stack.cutoff": cutoff.isoformat(),
        "stack.feature_service": project.spec.features.service,
        "stack.code_version": code_version,
        "stack.code_digest": code.digest(project.spec.name),
        "stack.seed": str(project.spec.training.seed),
    }
    tracker = Tracker(project, tags)
    with tracker.training(f"{project.spec.name} until {cutoff:%Y-%m-%d %H:%M}") as run_id, TemporaryDirectory() as made:
        folder = Path(made)
        report(f"{len(split.fit):,} rows to search on, {len(split.test):,} held out{_when(project.spec, split)}")
        judge = Judge.of(project.spec)
        best = search(project.spec, split, lambda one: _note(tracker, project.spec, judge, one, report), workers)
        recipe = _recipe(project.spec, frame, split, best, tags)
        (folder / "recipe").mkdir()
        (folder / "recipe" / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")
        code.keep(recipe.uncommitted or [], folder / "recipe" / code.KEPT)
        metrics = evaluate(project.spec, split, best, folder)
        report(f"holdout of {best.candidate}: " + ", ".join(f"{name} {metrics[name]:.4f}" for name in judge.headline))
        final = refit(project.spec, frame, best, folder)
        tracker.log(params=_params(project.spec, best, split), metrics=metrics)
        tracker.artifacts(folder)
        example = candidates.frame(project.spec, frame.head(5))
        version = tracker.register(final, example, _version_tags(project.spec, judge, split, metrics))
        report(f"version {version} registered: {best.candidate}, fitted on {len(frame):,} rows")
    return Trained(run_id, version, metrics, tags)


def evaluate(spec: ProjectSpec, split: Split, best: Tried, folder: Path) -> dict[str, float]:
    """Fit the best candidate before the holdout and measure it there.

    Writes ``holdout/holdout.parquet`` (the rows with their features and the answers), plots and the permutation
    importance.

    Returns:
        Metrics, with the first headline one of each slice that the gate looks at.
    """
    judge = Judge.of(spec)
    features, label = candidates.frame(spec, split.test), split.test[spec.label]
    pipeline = candidates.fit(spec, best.candidate, best.params, split.fit)
    answer = judge.task.predict(pipeline, features)
    rows = evaluation.answered(spec, split.test, answer)
    metrics = judge.metrics(label, answer, _baseline(spec, split))
    for column in spec.gate.slices:
        found = evaluation.slices(spec, rows, column)
        metrics |= {f"{judge.headline[0]}.{column}.{value}": one for value, one in found.items()}
    kept = ["event_id", "event_timestamp", "label_available_at", *_columns(spec)]
    _write(rows[kept], folder / "holdout" / "holdout.parquet")
    importances = evaluation.importance(pipeline, spec, features, label, spec.training.seed)
    importances.to_csv(folder / "importance.csv", index=False)
    evaluation.plots(spec, label, answer, importances, folder / "plots")
    return metrics


def refit(spec: ProjectSpec, frame: DataFrame, best: Tried, folder: Path) -> Pipeline:
    """Fit the best candidate on every row.

    Writes the served form and ``reference/reference.parquet``: a sample of the rows with the answers that the
    pipeline itself gives them, which the gate holds the served form against.
    """
    pipeline = candidates.fit(spec, best.candidate, best.params, frame)
    sample = frame.sample(min(REFERENCE_ROWS, len(frame)), random_state=spec.training.seed).sort_index()
    export(pipeline, spec, folder / "served", sample.head(EXPORT_ROWS))
    answer = tasks.of(spec).predict(pipeline, candidates.frame(spec, sample))
    kept = ["event_timestamp", *_columns(spec)]
    _write(evaluation.answered(spec, sample, answer)[kept], folder / "reference" / "reference.parquet")
    return pipeline


def ordered(spec: ProjectSpec, frame: DataFrame, cutoff: datetime) -> DataFrame:
    """Check the rows, and put them into one order whatever order the feature store gave them."""
    late = int((frame["label_available_at"] > cutoff).sum())
    if late:
        raise StackError(
            f"training set of {spec.name}",
            found=f"{late:,} rows whose label became known after {cutoff.isoformat()}",
            expected="labels known at the cut-off only",
        )
    classes = tasks.of(spec).classes
    label = frame[spec.label].astype(float)
    odd = label[~(label.isin(range(len(classes))) if classes else np.isfinite(label))].unique()
    if len(odd):
        raise StackError(
            f"training set of {spec.name}, {spec.label}",
            found=", ".join(f"{one:g}" for one in odd[:5]),
            expected=f"positions of classes, 0 to {len(classes) - 1}" if classes else "finite numbers",
        )
    return frame.sort_values(["event_timestamp", "event_id"], ignore_index=True)


def _columns(spec: ProjectSpec) -> list[str]:
    return [*spec.features.columns, spec.label, *tasks.of(spec).outputs]


def _when(spec: ProjectSpec, split: Split) -> str:
    return f" after {split.boundary:%Y-%m-%d}" if spec.training.split == "time" else " at random"


def _note(tracker: Tracker, spec: ProjectSpec, judge: Judge, one: Tried, report: Callable[[str], None]) -> None:
    """Log a trial and say how it went."""
    name = f"trial {one.number} of {spec.training.trials}" if one.number else "baseline"
    report(f"{name}: {one.told(judge)}")
    tracker.trial(
        f"{name}: {one.candidate}",
        params={"candidate": one.candidate, **one.params},
        metrics={f"fold_{judge.aim}": [judge.sign * loss for loss in one.losses], judge.aim: [judge.sign * one.loss]},
        pruned=one.pruned,
        hosts=one.hosts,
    )


def _baseline(spec: ProjectSpec, split: Split) -> np.ndarray:
    return tasks.of(spec).baseline(split.fit[spec.label])


def _params(spec: ProjectSpec, best: Tried, split: Split) -> dict[str, Any]:
    return {
        "candidate": best.candidate,
        **best.params,
        "seed": spec.training.seed,
        "trials": spec.training.trials,
        "fit_rows": len(split.fit),
        "holdout_rows": len(split.test),
        "boundary": split.boundary.isoformat(),
    }


def _version_tags(spec: ProjectSpec, judge: Judge, split: Split, metrics: dict[str, float]) -> dict[str, str]:
    """What the gate and the portal want to know about a version without reading its run."""
    return {
        "stack.boundary": split.boundary.isoformat(),
        "stack.baseline": json.dumps(_baseline(spec, split).tolist()),
        **{name: f"{metrics[name]:.4f}" for name in judge.headline},
    }


def _recipe(spec: ProjectSpec, frame: DataFrame, split: Split, best: Tried, tags: dict[str, str]) -> Recipe:
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


def _write(rows: DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows.to_parquet(path, index=False)
