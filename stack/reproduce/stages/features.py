"""Compute the features of raw rows, and join each labelled event with those of its own instant."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pandas as pd

from stack.reproduce import scratch
from stack.reproduce.stages.common import moment, path, say, specification, stage


@stage(moment("cutoff"), path("raw"), path("rows"))
def main(project: str, cutoff: datetime, raw: Path, rows: Path) -> None:
    """Make the training set ROWS, a Parquet file, from the tables in RAW and the labels known at the cut-off."""
    features(project, cutoff, raw, rows)


def features(project: str, cutoff: datetime, raw: Path, rows: Path) -> None:
    """Write the training set of the labels known at the cut-off, in the order of time."""
    spec = specification(project)
    tables = {name: pd.read_parquet(raw / f"{name}.parquet") for name in spec.tables}
    frame = scratch.training_set(spec, tables, cutoff)
    rows.parent.mkdir(parents=True, exist_ok=True)
    frame.sort_values(["event_timestamp", "event_id"], ignore_index=True).to_parquet(rows, index=False)
    say("features", f"{len(frame):,} labelled rows with {len(spec.features.columns)} features")


if __name__ == "__main__":
    main()
