"""Register an imported model as a version: its served form, the rows to compare with, and the rows that judge it."""

import json
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack.authoring.imported import answers, project
from stack.authoring.imported.project import Imported
from stack.core import code
from stack.project import Project
from stack.promotion import decisions
from stack.registry import artifacts
from stack.registry.registry import IMPORTED, METRICS
from stack.serving import observed, reasons, served
from stack.serving.served import ServedModel
from stack.specification import frames
from stack.training import evaluation
from stack.training.evaluation import Scorer
from stack.training.tracking import Tracker

LEAST = 50
"""Fewer labelled rows judge nothing."""
KEYS = ("event_id", "event_timestamp", "label_available_at")


def register(of: Project, model: Imported, now: datetime) -> str:
    """Register a model as a version and make it challenger; return the version.

    The labelled answers of the project judge it, or else the labelled rows of its sample.
    """
    spec, scorer = of.spec, Scorer.of(of.spec)
    tags = {
        "stack.project": spec.name,
        "stack.cutoff": now.isoformat(),
        "stack.code_version": code.version(),
        "stack.feature_service": spec.features.service,
        IMPORTED: f"{Path(model.place).name}, made by {model.graph.made_by}",
    }
    tracker = Tracker(of, tags)
    with tracker.run(f"import of {model.place}", "import"), TemporaryDirectory() as logged:
        folder = Path(logged)
        form = served_form(of, model, folder / artifacts.SERVED)
        sample = _answered(of, form, _sample(of, model, now))
        _write(of, sample, folder, "reference")
        judged = _answered(of, form, _judged(of, sample, now))
        _write(of, judged, folder, "holdout")
        baseline = scorer.task.baseline(judged[spec.label]) if len(judged) else np.empty(0)
        metrics: dict[str, float] = {}
        if len(judged):
            metrics = scorer.metrics(judged[spec.label], evaluation.answers(spec, judged), baseline)
        tracker.log({"model": model.place, "made_by": model.graph.made_by, "holdout_rows": len(judged)}, metrics)
        tracker.artifacts(folder)
        listed = [name for name in scorer.headline if name in metrics]
        version_tags = {
            METRICS: json.dumps(listed),
            "stack.boundary": now.isoformat(),
            "stack.baseline": json.dumps(baseline.tolist()),
            artifacts.HASHES: json.dumps(artifacts.hashes(folder / artifacts.SERVED)),
            **{name: f"{metrics[name]:.4f}" for name in listed},
        }
        version = tracker.register_onnx(folder / artifacts.SERVED / "model.onnx", version_tags)
    decisions.make_challenger(of, of.registry.numbered(version))
    return version


def served_form(of: Project, model: Imported, folder: Path) -> ServedModel:
    """Write the served form, with the ranges of its numbers and the background rows of reasons where rows are known."""
    spec, meaning = of.spec, model.meaning
    folder.mkdir()
    (folder / "model.onnx").write_bytes(model.graph.content)
    contract = answers.contract(model.columns, model.graph, meaning, spec.label, spec.threshold, of.task.outputs)
    contract.write(folder)
    if len(model.rows) > 1:
        numbers = [column.name for column in model.columns if column.input.type in ("float", "double")]
        served.write_ranges(folder, model.rows, numbers)
        answer = ServedModel(folder).predict({name: model.rows[name] for name in contract.columns})
        chosen = reasons.choose(contract.unit, answer)
        reasons.write_background(folder, model.rows[[*contract.columns]].iloc[chosen])
    return ServedModel(folder)


def _sample(of: Project, model: Imported, now: datetime) -> DataFrame:
    """Return the rows that come with a model as events, with encoded outcomes."""
    rows = model.rows.assign(**{of.spec.label: project.encoded(of.spec, model)})
    at = pd.Series(pd.Timestamp(now), index=rows.index).astype(frames.INSTANT)
    ids = [f"sample-{number}" for number in range(len(rows))]
    return rows.assign(event_id=ids, event_timestamp=at, label_available_at=at)


def _judged(of: Project, sample: DataFrame, now: datetime) -> DataFrame:
    """Return the labelled rows that judge a version: the project's answers, or else its sample; none where few."""
    label = of.spec.label
    log = observed.answered(of, of.spec.clock.start, now)
    log = log.rename(columns={"id": "event_id", "label_at": "label_available_at"})
    known = (rows[rows[label].notna()] for rows in (log, sample))
    return next((rows for rows in known if len(rows) >= LEAST), sample.iloc[:0])


def _answered(of: Project, form: ServedModel, rows: DataFrame) -> DataFrame:
    columns = {name: rows[name] for name in form.columns}
    return evaluation.answered(of.spec, rows.drop(columns=[*of.task.outputs], errors="ignore"), form.predict(columns))


def _write(of: Project, rows: DataFrame, folder: Path, name: str) -> None:
    (folder / name).mkdir()
    columns = [*KEYS, *of.spec.features.columns, of.spec.label, *of.task.outputs]
    rows[columns].to_parquet(folder / name / f"{name}.parquet", index=False)
