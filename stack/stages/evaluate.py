"""Fit the chosen candidate before the holdout, and measure it there."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pandas as pd

from stack import splits, tasks, training
from stack.search import Tried
from stack.stages.common import MODEL, moment, path, protocol, say, specification, stage

METRICS = "metrics.json"


@stage(moment("cutoff"), protocol, path("rows"), path("model"), path("out"))
def main(project: str, cutoff: datetime, rows: Path, model: Path, out: Path, **chosen: int | None) -> None:
    """Measure the choice in MODEL on the holdout of ROWS; write metrics, plots and the answers into the folder OUT."""
    evaluate(project, cutoff, rows, model, out, **chosen)


def evaluate(
    project: str, cutoff: datetime, rows: Path, model: Path, out: Path, **chosen: int | None
) -> dict[str, float]:
    """Write ``metrics.json``, ``plots/``, ``importance.csv`` and ``holdout/``; return the metrics."""
    spec, choice = specification(project, **chosen), json.loads((model / MODEL).read_text())
    split = splits.holdout(spec, pd.read_parquet(rows), cutoff)
    out.mkdir(parents=True, exist_ok=True)
    metrics = training.evaluate(spec, split, Tried(0, choice["candidate"], choice["params"]), out)
    (out / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    say("evaluate", ", ".join(f"{name} {metrics[name]:.4f}" for name in tasks.of(spec).headline))
    return metrics


if __name__ == "__main__":
    main()
