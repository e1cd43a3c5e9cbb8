"""Training: search, evaluate on the holdout, refit on everything known, register the version."""

import json
import platform
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version as installed
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from pandas import DataFrame
from sklearn.pipeline import Pipeline

from stack.core import code
from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.profile import step
from stack.core.workers import Workers
from stack.features import sampling
from stack.project import Project
from stack.registry import artifacts
from stack.registry.registry import METRICS, SINCE
from stack.serving import reasons, served
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import backtest, candidates, dependence, evaluation, intervals, packages, splits, trees
from stack.training.calibration import Calibration
from stack.training.evaluation import Scorer
from stack.training.export import export
from stack.training.search import TrialResult, search
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
class TrainingSet:
    """Labelled rows, and the data and code that they come from."""

    rows: DataFrame
    """``event_id``, ``event_timestamp``, ``label_available_at``, the encoded label and the columns of
    ``features.columns``; in any order."""
    cutoff: datetime
    """No label of the rows became known after it."""
    data_revision: str
    """Of the lake."""
    code_version: str
    """Of the checkout."""

    @property
    def limit(self) -> str:
        """Return how many rows were taken of how many; empty where all were."""
        known = self.rows.attrs.get(sampling.KNOWN, len(self.rows))
        return f"{len(self.rows):,} of {known:,} labelled rows, by training.max_rows" if known > len(self.rows) else ""

    def tags(self, spec: ProjectSpec) -> dict[str, str]:
        """Return the tags of what is trained on it."""
        return {
            "stack.project": spec.name,
            "stack.feature_service": spec.features.service,
            "stack.data_revision": self.data_revision,
            "stack.cutoff": self.cutoff.isoformat(),
            "stack.code_version": self.code_version,
            **({"stack.limited": self.limit} if self.limit else {}),
        }


@dataclass(frozen=True)
class TrainingResult:
    """A finished training."""

    run_id: str
    version: str
    metrics: dict[str, float]
    """Of the holdout, by the model fitted before it."""
    tags: dict[str, str]
    """Of the version: its project, data, cut-off and code."""


def train(project: Project, data: TrainingSet, report: Reporter, workers: Workers | None = None) -> TrainingResult:
    """Train a project's model and register it as a new version, without an alias.

    Args:
        report: called with a line about each step.
        workers: fit the folds of the search; this thread does when omitted. The outcome is the same.

    Raises:
        StackError: rows are too few, hold one outcome only, or were labelled after the cut-off.
    """
    spec, scorer, cutoff = project.spec, Scorer.of(project.spec), data.cutoff
    rows = ordered(spec, data.rows, cutoff)
    split = splits.holdout(spec, rows, cutoff)
    tags = data.tags(spec) | {"stack.code_digest": code.digest(spec.name), "stack.seed": str(spec.training.seed)}
    tracker = Tracker(project, tags)
    title = f"{spec.name} until {cutoff:%Y-%m-%d %H:%M}"

    def log_trial(result: TrialResult) -> None:
        name = f"trial {result.number} of {spec.training.trials}" if result.number else "baseline"
        report(f"{name}: {result.summary(scorer)}")
        with step("log to MLflow"):
            tracker.trial(f"{name}: {result.candidate}", result, scorer)

    with tracker.run(title, "training") as run_id, TemporaryDirectory() as logged:
        folder = Path(logged)
        report(_sizes(spec, split, data))
        if left_out := candidates.notice(spec, len(split.fit)):
            report(left_out)
        with step("search"):
            best = search(spec, split, log_trial, workers)
        if best.calibration_gain is not None:
            report(f"calibration: {Calibration(best.calibration, best.calibration_gain)}")
        _write_recipe(spec, rows, split, best, tags, folder / "recipe")
        metrics = evaluate(spec, split, best, folder)
        report(f"holdout of {best.candidate}: {_figures(scorer, metrics)}")
        final = refit(spec, rows, best, folder, metrics.get("correction", 0.0))
        protocol = {"seed": spec.training.seed, "trials": spec.training.trials, "boundary": split.boundary.isoformat()}
        sizes = {"fit_rows": len(split.fit), "holdout_rows": len(split.test)}
        with step("log to MLflow"):
            tracker.log(best.choice | protocol | sizes, metrics)
            tracker.artifacts(folder)
            example = candidates.frame(spec, rows.head(5))
            hashes = {artifacts.HASHES: json.dumps(artifacts.hashes(folder / artifacts.SERVED))}
            since = {SINCE: rows["event_timestamp"].min().isoformat()}
            version = tracker.register(final, example, _version_tags(spec, scorer, split, metrics) | hashes | since)
        report(f"version {version} registered: {best.candidate}, fitted on {len(rows):,} rows")
    return TrainingResult(run_id, version, metrics, tags)


@step("evaluate on the holdout")
def evaluate(spec: ProjectSpec, split: Split, best: TrialResult, folder: Path) -> dict[str, float]:
    """Fit the best candidate before the holdout; return its metrics there, with the first one's interval and slices.

    A forecast is fitted anew for each week of the holdout (:func:`.splits.backtests`).

    Writes ``holdout/holdout.parquet`` (the rows with their features and predictions), plots, the permutation importance
    and the partial dependence.
    """
    spec = best.specification(spec)
    scorer = Scorer.of(spec)
    parts = []
    for part in splits.backtests(spec, split):
        pipeline = candidates.fit(spec, best.candidate, best.params, part.fit)
        answer = scorer.task.predict(pipeline, candidates.frame(spec, part.test))
        parts.append(evaluation.answered(spec, part.test, answer))
    rows, of_intervals = intervals.measure(spec, split, pd.concat(parts) if len(parts) > 1 else parts[0])
    features, label, answer = candidates.frame(spec, rows), rows[spec.label], evaluation.answers(spec, rows)
    baseline = scorer.task.baseline(split.fit[spec.label])
    metrics = scorer.metrics(label, answer, baseline) | of_intervals
    bounds = evaluation.intervals(spec, rows, baseline)
    for name in [scorer.headline[0], *(["cost"] if "cost" in metrics else [])]:
        metrics[f"{name}.low"], metrics[f"{name}.high"] = bounds[name]
    for column in spec.gate.slices:
        scores = evaluation.slices(spec, rows, column)
        metrics |= {f"{scorer.headline[0]}.{column}.{value}": score for value, score in scores.items()}
    keys = ["event_id", "event_timestamp", "label_available_at"]
    keys += [spec.training.group] if spec.training.group not in ("", *spec.features.columns) else []
    _write(spec, rows, keys, folder / "holdout" / "holdout.parquet")
    importances = evaluation.importance(pipeline, spec, features, label, spec.training.seed)
    importances.to_csv(folder / "importance.csv", index=False)
    evaluation.plots(spec, label, answer, importances, folder / "plots")
    dependence.write(pipeline, spec, features, importances, folder)
    if spec.forecast:
        backtest.write(spec, rows, split.fit, folder / "plots")
        metrics |= backtest.metrics(spec, rows, split.fit)
    return metrics


@step("refit on all rows")
def refit(spec: ProjectSpec, frame: DataFrame, best: TrialResult, folder: Path, correction: float = 0.0) -> Pipeline:
    """Fit the best candidate on every row, and the quantiles of its intervals, with their correction.

    Writes the served form with the ranges of its numbers and the background rows of its reasons, and
    ``reference/reference.parquet``: a sample of the rows with the pipeline's own predictions, which the gate compares
    the served form with.
    """
    spec = best.specification(spec)
    pipeline = candidates.fit(spec, best.candidate, best.params, frame)
    sample = frame.sample(min(REFERENCE_ROWS, len(frame)), random_state=spec.training.seed).sort_index()
    with step("export to ONNX"):
        model = export(pipeline, spec, folder / artifacts.SERVED, sample.head(EXPORT_ROWS))
    if spec.interval:
        intervals.write(spec, frame, folder / artifacts.SERVED, sample.head(EXPORT_ROWS), correction)
    served.write_ranges(folder / artifacts.SERVED, frame, spec.column_types("number"))
    answer = tasks.of(spec).predict(pipeline, candidates.frame(spec, sample))
    background = candidates.frame(spec, sample).iloc[reasons.choose(model.contract.unit, answer)]
    reasons.write_background(folder / artifacts.SERVED, background)
    rows = evaluation.answered(spec, sample, answer)
    _write(spec, rows, ["event_timestamp"], folder / "reference" / "reference.parquet")
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


def _figures(scorer: Scorer, metrics: dict[str, float]) -> str:
    """Return the headline metrics, the first with its interval; of the others those that the rows define."""
    first, *others = scorer.headline
    others = [name for name in others if np.isfinite(metrics[name])]
    span = f"{metrics[f'{first}.low']:.4f} to {metrics[f'{first}.high']:.4f} in nine of ten cases"
    return ", ".join([f"{first} {metrics[first]:.4f} ({span})", *(f"{name} {metrics[name]:.4f}" for name in others)])


def _sizes(spec: ProjectSpec, split: Split, data: TrainingSet) -> str:
    """Describe the rows of a training."""
    at_random = f"at random, by {spec.training.group}" if spec.training.group else "at random"
    side = f"after {split.boundary:%Y-%m-%d}" if spec.training.split == "time" else at_random
    sizes = f"{len(split.fit):,} rows to search on, {len(split.test):,} held out {side}"
    return f"{sizes}; {data.limit}" if data.limit else sizes


def _version_tags(spec: ProjectSpec, scorer: Scorer, split: Split, metrics: dict[str, float]) -> dict[str, str]:
    """Return what the gate and the portal need of a version without reading its run."""
    return {
        METRICS: json.dumps(scorer.headline),
        "stack.boundary": split.boundary.isoformat(),
        "stack.baseline": json.dumps(scorer.task.baseline(split.fit[spec.label]).tolist()),
        **{name: f"{metrics[name]:.4f}" for name in scorer.headline},
    }


def _write_recipe(
    spec: ProjectSpec, rows: DataFrame, split: Split, best: TrialResult, tags: dict[str, str], folder: Path
) -> None:
    """Write all inputs of a training, and the files that no commit has: the same recipe gives the same metrics."""
    uncommitted = code.uncommitted(spec.name)
    recipe = {
        "project": spec.name,
        "cutoff": tags["stack.cutoff"],
        "since": rows["event_timestamp"].min().isoformat(),
        "boundary": split.boundary.isoformat(),
        "rows": len(rows),
        "data_revision": tags["stack.data_revision"],
        "feature_service": spec.features.service,
        "columns": spec.features.columns,
        "training": spec.training.model_dump(mode="json"),
        "candidate": best.candidate,
        "params": best.params,
        "threshold": best.threshold,
        "calibration": best.calibration,
        "calibration_gain": best.calibration_gain,
        "code_version": tags["stack.code_version"],
        "code_digest": tags["stack.code_digest"],
        "workspace_version": code.workspace_version(),
        "uncommitted": uncommitted,  # None where git is not available
        "python": platform.python_version(),
        "packages": {name: installed(name) for name in (*PACKAGES, *trees.PACKAGES.get(best.candidate, ()))},
        "own_packages": packages.pins(spec.folder),
    }
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")
    code.keep(uncommitted or [], folder / code.KEPT)


def _write(spec: ProjectSpec, rows: DataFrame, keys: list[str], path: Path) -> None:
    """Write the keys of rows with their features, label and predictions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [*keys, *spec.features.columns, spec.label, *tasks.of(spec).outputs]
    columns += [end for end in tasks.of(spec).ends if end in rows]
    rows[columns].to_parquet(path, index=False)
