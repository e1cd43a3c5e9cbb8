"""The oracle: the answers of a model that is refitted each week on every label known by then.

It fits the recipe that was live in each week, so that it differs from the live model in its age alone. A week's
answers are cached by the content of their inputs: a second report fits nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas import DataFrame

from stack.core import files
from stack.core.notices import Reporter
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training import candidates

Recipe = Mapping[str, Any]
"""``candidate`` and ``params``."""
Week = tuple[datetime, datetime]


def answers(
    cache: Path,
    spec: ProjectSpec,
    events: DataFrame,
    weeks: Sequence[Week],
    recipe: Callable[[datetime], Recipe],
    report: Reporter,
) -> DataFrame:
    """Fit at the beginning of each week, and predict the events of that week.

    Args:
        cache: folder of the answers; it need not exist.
        spec: the project.
        events: labelled events with their features, as :func:`stack.features.datasets.labelled` gives them.
        weeks: since (exclusive for labels, inclusive for events) and until of each.
        recipe: returns the recipe that was live at an instant.
        report: receives the progress, line by line.

    Returns:
        ``event_id`` and the outputs of the task, for every labelled event of the weeks.
    """
    events, outputs = events.sort_values(["event_timestamp", "event_id"]), list(tasks.of(spec).outputs)
    hashes = pd.util.hash_pandas_object(events[[*spec.features.columns, spec.label]], index=False).to_numpy()
    parts = []
    for number, (since, until) in enumerate(weeks, 1):
        past = (events["label_available_at"] <= since).to_numpy()
        current = ((events["event_timestamp"] >= since) & (events["event_timestamp"] < until)).to_numpy()
        live = recipe(since)
        path = cache / f"{_key(spec, live, hashes[past], hashes[current])}.npy"
        if not path.exists():
            content = BytesIO()
            np.save(content, _predictions(spec, live, events[past], events[current]))
            files.write(path, content.getvalue())
            report(f"oracle: week {number} of {len(weeks)}, fitted on {past.sum():,} rows")
        event_ids = events.loc[current, "event_id"].to_numpy()
        parts.append(DataFrame(np.load(path), columns=outputs).assign(event_id=event_ids))
    return pd.concat(parts, ignore_index=True)


def _predictions(spec: ProjectSpec, recipe: Recipe, past: DataFrame, current: DataFrame) -> np.ndarray:
    task = tasks.of(spec)
    if current.empty:
        return np.empty((0, len(task.outputs)))
    task.calibration = recipe.get("calibration", ())
    pipeline = candidates.fit(spec, recipe["candidate"], dict(recipe["params"]), past)
    return task.predict(pipeline, candidates.frame(spec, current))


def _key(spec: ProjectSpec, recipe: Recipe, past: np.ndarray, current: np.ndarray) -> str:
    inputs = [spec.task, dict(spec.features.columns), spec.training.seed, recipe["candidate"], dict(recipe["params"])]
    inputs += [points] if (points := recipe.get("calibration")) else []
    digest = sha256(json.dumps(inputs, sort_keys=True).encode())
    for part in (past, current):
        digest.update(len(part).to_bytes(8))
        digest.update(part.tobytes())
    return digest.hexdigest()[:32]
