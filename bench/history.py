"""The figures of earlier runs, in ``bench/history.jsonl``: a line a run, so that a release compares with the last."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from subprocess import check_output

from bench.table import Row
from stack.core.settings import ROOT

PATH = Path(__file__).with_name("history.jsonl")


def last(path: Path = PATH) -> dict[str, str]:
    """Return the figures of the last run, by what was measured."""
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(json.loads(lines[-1])["found"]) if lines else {}


def append(rows: Sequence[Row], path: Path = PATH) -> None:
    """Add the figures of this run."""
    release = check_output(["git", "describe", "--tags", "--always", "--dirty"], cwd=ROOT, text=True).strip()
    run = {
        "release": release,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[2]:.1f}",
        "found": {row.what: row.found for row in rows},
    }
    with path.open("a") as file:
        file.write(json.dumps(run) + "\n")
