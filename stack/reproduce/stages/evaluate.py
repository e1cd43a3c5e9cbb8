"""Fit the chosen candidate before the holdout, and measure it there."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import click
import pandas as pd

from stack.core.errors import StackError
from stack.promotion import gate
from stack.reproduce.stages.common import MODEL, moment, path, protocol, say, specification, stage
from stack.serving.served import ServedModel
from stack.specification import tasks
from stack.training import splits, training
from stack.training.search import TrialResult

METRICS = "metrics.json"


@stage(
    moment("cutoff"), protocol, click.option("--gate", "gated", is_flag=True), path("rows"), path("model"), path("out")
)
def main(project: str, cutoff: datetime, rows: Path, model: Path, out: Path, gated: bool, **chosen: int | None) -> None:
    """Measure the choice in MODEL on the holdout of ROWS; write metrics, plots and the answers into the folder OUT.

    With --gate, end with 1 unless the limits of the gate are met.
    """
    evaluate(project, cutoff, rows, model, out, **chosen)
    if gated:
        judge(project, rows, cutoff, model, out, **chosen)


def evaluate(
    project: str, cutoff: datetime, rows: Path, model: Path, out: Path, **chosen: int | None
) -> dict[str, float]:
    """Write ``metrics.json``, ``plots/``, ``importance.csv`` and ``holdout/``; return the metrics."""
    spec, choice = specification(project, **chosen), json.loads((model / MODEL).read_text())
    split = splits.holdout(spec, pd.read_parquet(rows), cutoff)
    out.mkdir(parents=True, exist_ok=True)
    metrics = training.evaluate(spec, split, TrialResult(0, choice["candidate"], choice["params"]), out)
    (out / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    say("evaluate", ", ".join(f"{name} {metrics[name]:.4f}" for name in tasks.of(spec).headline))
    return metrics


def judge(project: str, rows: Path, cutoff: datetime, model: Path, out: Path, **chosen: int | None) -> None:
    """Hold the figures against the limits of the gate, without a champion; write ``gate.md``.

    Raises:
        StackError: a limit is not met.
    """
    spec = specification(project, **chosen)
    split = splits.holdout(spec, pd.read_parquet(rows), cutoff)
    served, reference = ServedModel(model / "served"), pd.read_parquet(model / "reference/reference.parquet")
    off, latency = gate.served(spec, served, reference)
    decision = gate.judge(
        spec,
        "of this run",
        pd.read_parquet(out / "holdout/holdout.parquet"),
        baseline=tasks.of(spec).baseline(split.fit[spec.label]),
        served_difference=off,
        latency_ms=latency,
    )
    (out / "gate.md").write_text(decision.markdown())
    if not decision.passed:
        raise StackError(f"gate of {project}", found=decision.reason, expected="the limits of gate in project.yaml")
    say("evaluate", "the gate's limits are met")


if __name__ == "__main__":
    main()
