"""What a report reads from a frame: typed columns, missing values, age of the features, outcomes of predictions."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pandas import DataFrame, to_datetime, to_numeric

from stack.core.errors import StackError
from stack.specification import tasks
from stack.specification.specs import ProjectSpec
from stack.training.evaluation import labelled, measure

TIME, FEATURES_AT = "event_timestamp", "features_at"
AGE = "feature_age_minutes"
"""Age of the oldest feature row that a prediction used."""


@dataclass(frozen=True)
class Outcomes:
    """Number of labelled rows since the champion's cut-off; bias and mean loss of those in the bias window."""

    labelled: int = 0
    bias: float | None = None
    loss: float | None = None


def typed(spec: ProjectSpec, frame: DataFrame, where: str) -> DataFrame:
    """Keep feature columns and those of :func:`prediction_columns`, numbers as float64, times naive UTC.

    Of a text the number of its characters is compared.

    Raises:
        StackError: a feature column is missing; `where` names the frame.
    """
    absent = [column for column in spec.features.columns if column not in frame]
    if absent:
        raise StackError(where, found=f"no column {', '.join(absent)}", expected="every column of features.columns")
    numbers = {column: to_numeric(frame[column]).astype("float64") for column in spec.column_types("number")}
    numbers |= {column: frame[column].str.len().astype("float64") for column in spec.column_types("text")}
    numbers = {column: values.replace([np.inf, -np.inf], np.nan) for column, values in numbers.items()}
    categories = {
        column: frame[column].astype(object).where(frame[column].notna(), None)
        for column in spec.column_types("category")
    }
    columns = DataFrame(numbers | categories, index=frame.index).join(prediction_columns(spec, frame))
    columns.attrs = frame.attrs
    return columns


def prediction_columns(spec: ProjectSpec, frame: DataFrame) -> DataFrame:
    """Keep outputs, ends of intervals, label, time and age of the features, each where the frame has it."""
    task = tasks.of(spec)
    numbers = [column for column in (*task.outputs, *task.ends, spec.label) if column in frame]
    kept = DataFrame({column: to_numeric(frame[column]).astype("float64") for column in numbers}, index=frame.index)
    if TIME in frame:
        kept[TIME] = to_datetime(frame[TIME], utc=True).dt.tz_localize(None)
        if FEATURES_AT in frame and frame[FEATURES_AT].notna().any():
            kept[AGE] = (
                to_datetime(frame[TIME], utc=True) - to_datetime(frame[FEATURES_AT], utc=True)
            ).dt.total_seconds() / 60
    return kept


def outcomes(spec: ProjectSpec, frame: DataFrame, at: datetime, cutoff: datetime | None) -> Outcomes:
    """Count the labelled rows in (cutoff, at], and measure those within the bias window."""
    if cutoff is None or TIME not in frame:
        return Outcomes()
    times = to_datetime(frame[TIME], utc=True)
    rows = labelled(frame[(times > cutoff) & (times <= at)], list(tasks.of(spec).outputs), spec.label)
    recent = measure(spec, rows[to_datetime(rows[TIME], utc=True) > at - spec.monitoring.bias_window])
    return Outcomes(len(rows), recent["bias"], recent["loss"]) if recent else Outcomes(len(rows))
