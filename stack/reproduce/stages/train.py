"""Search the candidates before the holdout, and fit the best one on every row."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pandas as pd

from stack.reproduce.stages.common import MODEL, moment, path, protocol, say, specification, stage
from stack.training import splits, training
from stack.training.search import search


@stage(moment("cutoff"), protocol, path("rows"), path("model"))
def main(project: str, cutoff: datetime, rows: Path, model: Path, **chosen: int | None) -> None:
    """Train on ROWS; write the served form, its reference and the choice of the search into the folder MODEL."""
    train(project, cutoff, rows, model, **chosen)


def train(project: str, cutoff: datetime, rows: Path, model: Path, **chosen: int | None) -> None:
    """Write ``model.json`` (candidate and parameters), ``served/`` and ``reference/``."""
    spec, frame = specification(project, **chosen), pd.read_parquet(rows)
    split = splits.holdout(spec, frame, cutoff)
    say("train", f"{len(split.fit):,} rows to search on, {len(split.test):,} held out")
    best = search(spec, split, lambda one: say("train", f"{one.candidate}, loss {one.loss:.4f}"))
    training.refit(spec, frame, best, model)
    choice = {"candidate": best.candidate, "params": best.params, "loss": best.loss}
    (model / MODEL).write_text(json.dumps(choice, indent=2) + "\n")
    say("train", f"{best.candidate} is fitted on {len(frame):,} rows")


if __name__ == "__main__":
    main()
