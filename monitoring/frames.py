"""What a report reads of a frame: typed columns, missing values, performance and calibration."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from pandas import DataFrame, to_datetime, to_numeric

from monitoring.performance import Performance, measure
from stack.errors import StackError
from stack.project import ProjectSpec

PROBABILITY = "probability"
TIME = "event_timestamp"


def typed(spec: ProjectSpec, frame: DataFrame, where: str) -> DataFrame:
    """Keep feature columns, probability, label and time: numbers as float64, categories as objects, times as naive UTC.

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
    """Keep probability, label and time, each where it is there."""
    numbers = [column for column in (PROBABILITY, spec.label) if column in frame]
    kept = DataFrame({column: to_numeric(frame[column]).astype("float64") for column in numbers}, index=frame.index)
    if TIME in frame:
        kept[TIME] = to_datetime(frame[TIME], utc=True).dt.tz_localize(None)
    return kept


def missing_share(spec: ProjectSpec, frame: DataFrame) -> float | None:
    """Share of the feature cells that hold no value; None without rows."""
    return float(frame[list(spec.features.columns)].isna().to_numpy().mean()) if len(frame) else None


def lost(spec: ProjectSpec, reference: DataFrame, current: DataFrame) -> tuple[str, ...]:
    """Columns that miss more of their values than in the reference, by `max_missing_rise`, or all of them."""
    columns = list(spec.features.columns)
    rise = current[columns].isna().mean() - reference[columns].isna().mean()
    empty = current[columns].isna().all() & reference[columns].notna().any()
    return tuple(column for column in columns if rise[column] > spec.monitoring.max_missing_rise or empty[column])


def performance(spec: ProjectSpec, frame: DataFrame) -> Performance | None:
    """Score the rows with label and probability; None when there are none."""
    if not {PROBABILITY, spec.label} <= set(frame):
        return None
    return measure(frame[PROBABILITY], frame[spec.label])


def calibration(spec: ProjectSpec, frame: DataFrame, at: datetime, cutoff: datetime | None) -> tuple[int, float | None]:
    """Count the labelled rows in (cutoff, at], and measure the bias of those within the bias window."""
    if cutoff is None or not {PROBABILITY, spec.label, TIME} <= set(frame):
        return 0, None
    times = to_datetime(frame[TIME], utc=True)
    known = (times > cutoff) & (times <= at) & frame[spec.label].notna() & frame[PROBABILITY].notna()
    recent = performance(spec, frame[known & (times > at - spec.monitoring.bias_window)])
    return int(known.sum()), recent.bias if recent else None
