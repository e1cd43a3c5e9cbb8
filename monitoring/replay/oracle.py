"""The oracle: the answers of a model that is refitted each week on every label known by then.

It fits the recipe that was live in each week, so that it differs from the live model in its age alone. A week's
answers are cached by the content of their inputs: a second report fits nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack.core import files
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates

Recipe = Mapping[str, Any]
"""``candidate`` and ``params``."""
Week = tuple[datetime, datetime]


def answers(
    folder: Path,
    spec: ProjectSpec,
    rows: DataFrame,
    weeks: Sequence[Week],
    recipe: Callable[[datetime], Recipe],
    report: Callable[[str], object],
) -> DataFrame:
    """Fit at the beginning of each week, and predict the events of that week.

    Args:
        folder: cache of the answers; made if it is missing.
        spec: the project.
        rows: labelled events with their features, as :func:`stack.features.datasets.labelled` gives them.
        weeks: since (exclusive for labels, inclusive for events) and until of each.
        recipe: gives the one that was live at an instant.
        report: receives the progress, line by line.

    Returns:
        ``event_id`` and the outputs of the task, for every labelled event of the weeks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = rows.sort_values(["event_timestamp", "event_id"])
    hashes = pd.util.hash_pandas_object(rows[[*spec.features.columns, spec.label]], index=False).to_numpy()
    parts = []
    for number, (since, until) in enumerate(weeks, 1):
        known = (rows["label_available_at"] <= since).to_numpy()
        asked = ((rows["event_timestamp"] >= since) & (rows["event_timestamp"] < until)).to_numpy()
        wanted = recipe(since)
        path = folder / f"{_key(spec, wanted, hashes[known], hashes[asked])}.npy"
        if not path.exists():
            result = _answer(spec, wanted, rows[known], rows[asked])
            files.write(path, partial(_save, result))
            report(f"oracle: week {number} of {len(weeks)}, fitted on {known.sum():,} rows")
        parts.append(_with_ids(spec, rows.loc[asked, "event_id"], np.load(path)))
    return pd.concat(parts, ignore_index=True)


def _answer(spec: ProjectSpec, recipe: Recipe, known: DataFrame, asked: DataFrame) -> np.ndarray:
    task = tasks.of(spec)
    if asked.empty:
        return np.empty((0, len(task.outputs)))
    pipeline = candidates.fit(spec, recipe["candidate"], dict(recipe["params"]), known)
    return task.predict(pipeline, candidates.frame(spec, asked))


def _key(spec: ProjectSpec, recipe: Recipe, known: np.ndarray, asked: np.ndarray) -> str:
    inputs = [spec.task, dict(spec.features.columns), spec.training.seed, recipe["candidate"], dict(recipe["params"])]
    digest = sha256(json.dumps(inputs, sort_keys=True).encode())
    for part in (known, asked):
        digest.update(len(part).to_bytes(8))
        digest.update(part.tobytes())
    return digest.hexdigest()[:32]


def _save(answers: np.ndarray, path: Path) -> None:
    with path.open("wb") as file:  # given a name, numpy would add its own ending
        np.save(file, answers)


def _with_ids(spec: ProjectSpec, event_ids: Any, answers: np.ndarray) -> DataFrame:
    frame = DataFrame(answers, columns=list(tasks.of(spec).outputs))
    return frame.assign(event_id=event_ids.to_numpy())
