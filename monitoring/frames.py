"""What a report reads of a frame: typed columns, missing values, age of the features, how answers turned out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pandas import DataFrame, to_datetime, to_numeric

from stack.core.errors import StackError
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.performance import known, measure

TIME, FEATURES_AT = "event_timestamp", "features_at"
AGE = "feature_age_minutes"
"""Age of the oldest feature row that an answer used."""


@dataclass(frozen=True)
class Outcomes:
    """The labelled rows since the champion's cut-off, and how those of the bias window turned out."""

    labelled: int = 0
    bias: float | None = None
    loss: float | None = None


def typed(spec: ProjectSpec, frame: DataFrame, where: str) -> DataFrame:
    """Keep feature columns, answer, label, time and age: numbers as float64, categories as objects, times naive UTC.

    Raises:
        StackError: a feature column is missing; `where` names the frame.
    """
    absent = [column for column in spec.features.columns if column not in frame]
    if absent:
        raise StackError(where, found=f"no column {', '.join(absent)}", expected="every column of features.columns")
    numbers = {column: to_numeric(frame[column]).astype("float64") for column in spec.column_types("number")}
    numbers = {column: values.replace([np.inf, -np.inf], np.nan) for column, values in numbers.items()}
    categories = {
        column: frame[column].astype(object).where(frame[column].notna(), None)
        for column in spec.column_types("category")
    }
    return DataFrame(numbers | categories, index=frame.index).join(answered(spec, frame))


def answered(spec: ProjectSpec, frame: DataFrame) -> DataFrame:
    """Keep answer, label, time and age of the features, each where it is there."""
    numbers = [column for column in (*tasks.of(spec).outputs, spec.label) if column in frame]
    kept = DataFrame({column: to_numeric(frame[column]).astype("float64") for column in numbers}, index=frame.index)
    if TIME in frame:
        kept[TIME] = to_datetime(frame[TIME], utc=True).dt.tz_localize(None)
        if FEATURES_AT in frame and frame[FEATURES_AT].notna().any():
            kept[AGE] = (
                to_datetime(frame[TIME], utc=True) - to_datetime(frame[FEATURES_AT], utc=True)
            ).dt.total_seconds() / 60
    return kept


def missing_share(spec: ProjectSpec, frame: DataFrame) -> float | None:
    """Share of the feature cells that hold no value; None without rows."""
    return float(frame[list(spec.features.columns)].isna().to_numpy().mean()) if len(frame) else None


def oldest_features(frame: DataFrame) -> float | None:
    """Minutes that the features of 95 % of the answers were younger than; None where no feature has an age."""
    return float(frame[AGE].quantile(0.95)) if AGE in frame and frame[AGE].notna().any() else None


def lost(spec: ProjectSpec, reference: DataFrame, current: DataFrame) -> tuple[str, ...]:
    """Columns that miss more of their values than in the reference, by `max_missing_rise`, or all of them."""
    columns = list(spec.features.columns)
    rise = current[columns].isna().mean() - reference[columns].isna().mean()
    empty = current[columns].isna().all() & reference[columns].notna().any()
    return tuple(column for column in columns if rise[column] > spec.monitoring.max_missing_rise or empty[column])


def outcomes(spec: ProjectSpec, frame: DataFrame, at: datetime, cutoff: datetime | None) -> Outcomes:
    """Count the labelled rows in (cutoff, at], and measure those within the bias window."""
    if cutoff is None or TIME not in frame:
        return Outcomes()
    times = to_datetime(frame[TIME], utc=True)
    rows = known(frame[(times > cutoff) & (times <= at)], list(tasks.of(spec).outputs), spec.label)
    recent = measure(spec, rows[to_datetime(rows[TIME], utc=True) > at - spec.monitoring.bias_window])
    return Outcomes(len(rows), recent["bias"], recent["loss"]) if recent else Outcomes(len(rows))
