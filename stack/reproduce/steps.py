"""The steps of a training as plain functions of rows and folders: what rebuilds a run, and what the stages call.

None needs a server: features are computed and joined in a scratch home beside the live home. A stage is a process of
its own, so each step imports the tools that it needs: Feast, Great Expectations and a training take seconds each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd
from pandas import DataFrame

from stack.core.errors import StackError
from stack.core.notices import Reporter
from stack.core.settings import Settings, settings
from stack.project import Project, contract
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import splits

if TYPE_CHECKING:
    from stack.training.search import TrialResult

METRICS = "metrics.json"
CHOICE = "model.json"


def write_choice(best: TrialResult, model: Path) -> None:
    """Write the candidate that a search has chosen, and its hyper-parameters, into a model's folder."""
    choice = {"candidate": best.candidate, "params": best.params, "loss": best.loss, "threshold": best.threshold}
    choice |= {"calibration": best.calibration, "calibration_gain": best.calibration_gain}
    (model / CHOICE).write_text(json.dumps(choice, indent=2) + "\n")


def read_choice(model: Path) -> TrialResult:
    """Read the choice of a model's folder."""
    choice = json.loads((model / CHOICE).read_text())
    return recipe_choice(choice, [choice["loss"]])


def recipe_choice(recipe: Mapping[str, Any], scores: Sequence[Any] = ()) -> TrialResult:
    """Return the candidate of a recipe, with its parameters, threshold and calibration; early ones lack the latter."""
    from stack.training.search import TrialResult

    found = {"threshold": recipe.get("threshold"), "calibration": recipe.get("calibration", ())}
    found |= {"calibration_gain": recipe.get("calibration_gain")}
    return TrialResult(0, recipe["candidate"], recipe["params"], [*scores], **found)


def fetch(spec: ProjectSpec, since: datetime, until: datetime, report: Reporter) -> dict[str, DataFrame]:
    """Return the clean rows that became known in (since, until]; raise a StackError where the batch is refused."""
    from stack.validation import batches, validation

    with TemporaryDirectory() as home:
        project = Project(Settings(home=Path(home), workspace=settings().workspace), spec)
        tables = batches.fetch(project, since, until)
        result = validation.validate(project, tables, {}, since, until)
    for warning in result.warnings:
        report(f"warning: {warning}")
    if not result.accepted:
        raise StackError(
            f"batch of {spec.name}, {since.isoformat()} to {until.isoformat()}",
            found="; ".join(result.failures),
            expected="rows that meet the expectations of checks.py",
            todo="fix the source, or choose another window",
        )
    return result.tables


def training_set(spec: ProjectSpec, tables: Mapping[str, DataFrame], cutoff: datetime) -> DataFrame:
    """Join the events whose label was known at the cut-off with the features of their own instant.

    The feature tables and the Feast registry are created for it, and deleted afterwards. `tables` are the raw rows
    known at the cut-off; the result is that of :func:`stack.features.datasets.labelled`.
    """
    from stack.features import datasets, feature_tables, features, sampling

    build = contract.features(spec.name).build
    with TemporaryDirectory(prefix="features-") as home:
        project = Project(Settings(home=Path(home), workspace=settings().workspace), spec)
        for view, frame in build(tables, spec.clock.start, cutoff).items():
            path = project.settings.feature_tables / spec.name / view
            feature_tables.replace(path, frame, spec.clock.start, cutoff)
        features.apply_alone(project)
        events = sampling.limited(spec, datasets.answered(spec, tables, cutoff), cutoff)
        return features.training_set(project, events)


def search(spec: ProjectSpec, frame: DataFrame, cutoff: datetime, report: Reporter) -> TrialResult:
    """Search the candidates on the rows before the holdout."""
    from stack.training import search

    split = splits.holdout(spec, frame, cutoff)
    report(f"{len(split.fit):,} rows to search on, {len(split.test):,} held out")
    return search.search(spec, split, lambda trial: report(f"{trial.candidate}, loss {trial.loss:.4f}"))


def evaluate(spec: ProjectSpec, frame: DataFrame, cutoff: datetime, choice: TrialResult, out: Path) -> dict[str, float]:
    """Fit a choice before the holdout and measure it there; return the metrics.

    Writes ``metrics.json``, ``plots/``, ``importance.csv`` and ``holdout/``.
    """
    from stack.training import training

    out.mkdir(parents=True, exist_ok=True)
    metrics = training.evaluate(spec, splits.holdout(spec, frame, cutoff), choice, out)
    (out / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    return metrics


def check_gate(spec: ProjectSpec, frame: DataFrame, cutoff: datetime, model: Path, out: Path) -> None:
    """Compare the holdout's answers with the limits of the gate, without a champion; write ``gate.md``."""
    from stack.promotion import gate
    from stack.serving.served import ServedModel

    split = splits.holdout(spec, frame, cutoff)
    reference = pd.read_parquet(model / "reference/reference.parquet")
    served = ServedModel(model / "served")
    difference, latency = gate.served(spec, served, reference)
    decision = gate.judge(
        spec.with_threshold(served.threshold),
        "of this run",
        pd.read_parquet(out / "holdout/holdout.parquet"),
        baseline=tasks.of(spec).baseline(split.fit[spec.label]),
        served_difference=difference,
        latency_ms=latency,
    )
    (out / "gate.md").write_text(decision.markdown())
    if not decision.passed:
        raise StackError(f"gate of {spec.name}", found=decision.reason, expected="the limits of gate in project.yaml")
