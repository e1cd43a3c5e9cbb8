"""``python -m bench.cry_wolf``: how often a report gives notice of rows without a shift, and sees one with it.

Of each table a half is known to a champion, and the rows of reports are drawn from the other half at random, 200 times
for each number of rows: as requests, and as new rows beside them. With a shift, one number of the requests is half as
large again. Takes an hour.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import psi_stat_test
from pandas import DataFrame

from monitoring import frames, policy, reports, significance
from monitoring.comparison import WindowComparison, excused
from stack.serving.observed import NEW_ROWS, REQUESTS
from stack.specification.specs import ProjectSpec
from stack.training import candidates, evaluation
from tests.tables import tables

DRAWS, SIZES, WORKERS = 200, (20, 300, 600), 2
AT = datetime(2024, 6, 1, tzinfo=UTC)
EVERY = pd.Timedelta(hours=1)
"""How far apart the rows are that a champion of a table with time was trained on."""
BAR = 0.05
TABLES: dict[str, tuple[Callable[[], DataFrame], str, str]] = {
    "penguins": (partial(tables.penguins, 4000), "species", "body_mass_g"),
    "loans": (tables.loans, "interest_rate", "annual_income"),
    "houses": (partial(tables.houses, 4000), "price", "age"),
    "devices": (tables.devices, "failed", "temperature"),
    "storms": (tables.storms, "status", "pressure"),
    "rides": (partial(tables.rides, 180), "cnt", "temp"),
}
"""Name -> the table, its target, and the number that shifts."""


class Trial(NamedTuple):
    """A kind of report: of a table with or without time, where so many rows are enough for a share of the columns."""

    table: str
    timed: bool
    min_rows: int
    rows: int
    shifts: bool


@lru_cache
def project(table: str, timed: bool, min_rows: int) -> tuple[ProjectSpec, DataFrame, DataFrame]:
    """Return a specification, the champion's reference and the scored rows that it has not been trained on."""
    make, target, _ = TABLES[table]
    rows = make().sample(frac=1, random_state=1, ignore_index=True)
    columns = {
        column: "number" if pd.api.types.is_numeric_dtype(rows[column]) else "category"
        for column in rows.columns.drop(target)
        if pd.api.types.is_numeric_dtype(rows[column]) or rows[column].nunique() < 2000
    }
    label, classes = rows[target], [] if pd.api.types.is_float_dtype(rows[target]) else sorted(rows[target].unique())
    numeric = pd.api.types.is_numeric_dtype(label)
    spec = ProjectSpec.model_validate(
        {
            **{"name": "drawn", "title": table, "label": "outcome"},
            "task": "regression" if numeric else "binary" if len(classes) == 2 else "multiclass",
            "classes": [] if numeric else classes,
            "tables": {"rows": {"key": ["id"], "snapshot": not timed}},
            "request": {"id": {"type": "string", "description": "Row", "example": "1"}},
            "features": {"service": "drawn_v1", "columns": columns},
            "training": {"split": "random"},
            "monitoring": {"min_rows": min_rows},
        }
    )
    rows["outcome"] = label.astype(float) if numeric else label.map(classes.index).astype(float)
    for column, kind in columns.items():
        rows[column] = rows[column].astype("float32" if kind == "number" else object)
    half = len(rows) // 2
    fit, held_out, unseen = rows[: half * 3 // 4], rows[half * 3 // 4 : half], rows[half:]
    answers = [_answered(spec, known, asked) for known, asked in ((fit, held_out), (rows[:half], unseen))]
    before = pd.concat([fit.drop(columns="outcome"), answers[0]], ignore_index=True)
    if timed:
        before[frames.TIME] = pd.date_range(end=AT - spec.monitoring.window, periods=len(before), freq=EVERY, unit="us")
    return spec, frames.typed(spec, before, "reference"), answers[1]


def _answered(spec: ProjectSpec, known: DataFrame, asked: DataFrame) -> DataFrame:
    name = "gradient_boosting"
    centre = dict(candidates.available(spec, len(known))[name].initial_params)
    pipeline = candidates.fit(spec, name, centre, known)
    answer = evaluation.Scorer.of(spec).task.predict(pipeline, candidates.frame(spec, asked))
    return evaluation.answered(spec, asked, answer)


def scored(window: WindowComparison) -> WindowComparison:
    """Compare the columns as Evidently does, without its page, which takes a second."""
    columns = [*window.spec.features.columns, *window.outputs] if window.enough else []
    scores = {}
    for column in columns:
        before, after = window.reference[column].dropna(), window.current[column].dropna()
        if window.few:
            scores[column] = significance.p_value(before, after)
        else:
            kind = "num" if pd.api.types.is_numeric_dtype(before) else "cat"
            scores[column] = float(psi_stat_test(before, after, kind, window.threshold).drift_score)
    return excused(replace(window, scores=scores))


def noticed(trial: Trial, seed: int) -> str:
    """Return what the report of one draw says."""
    spec, reference, unseen = project(trial.table, trial.timed, trial.min_rows)
    drawn = unseen.sample(2 * trial.rows, random_state=seed)
    requests, new = drawn[: trial.rows].copy(), drawn[trial.rows :].copy()
    if trial.shifts:
        requests[TABLES[trial.table][2]] *= 1.5
    requests.attrs, new.attrs = {"origin": REQUESTS}, {"origin": NEW_ROWS}
    windows = [scored(WindowComparison(spec, reference, frames.typed(spec, rows, "drawn"))) for rows in (requests, new)]
    last = reports.measured(windows[0], windows[1:], AT)
    verdict = policy.decide(spec.monitoring, [last], at=AT, cutoff=AT)
    return verdict.action if verdict.decided else "undecided"


def outcomes(trial: Trial) -> Counter[str]:
    """Count what the reports of all draws say."""
    return Counter(noticed(trial, seed) for seed in range(20 if trial.shifts else DRAWS))


def trials() -> Iterator[Trial]:
    """Yield the kinds of reports."""
    for table in TABLES:
        for timed, min_rows in ((False, 1000), (False, 100), (True, 1000), (True, 100)):
            for shifts in (False, True):
                yield from (Trial(table, timed, min_rows, rows, shifts) for rows in SIZES)


def main() -> int:
    """Print a line for each kind of report; the exit code is 1 when false notices miss their bar."""
    kinds = list(trials())
    missed, totals = False, Counter[str]()
    with ProcessPoolExecutor(WORKERS) as pool:
        for trial, counts in zip(kinds, pool.map(outcomes, kinds), strict=True):
            share = counts["notice"] / counts.total()
            print(f"{' '.join(map(str, trial))}: {dict(counts)}", flush=True)
            if not trial.shifts and trial.rows >= 50:
                missed |= share > BAR + 3 * (BAR * (1 - BAR) / DRAWS) ** 0.5
                totals += counts
    share = totals["notice"] / totals.total()
    print(f"cry wolf {share:.1%} of {totals.total():,} reports without a shift (bar {BAR:.0%})")
    return int(missed or share > BAR)


if __name__ == "__main__":
    np.seterr(all="ignore")
    sys.exit(main())
