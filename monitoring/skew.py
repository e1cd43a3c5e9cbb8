"""Training-serving skew: the features of logged predictions compared with the offline store's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from pandas import DataFrame

from stack.core.clock import spans
from stack.features import features
from stack.project import Project
from stack.specification.specs import ProjectSpec

CHUNK = timedelta(days=14)
EXAMPLES = 5


@dataclass(frozen=True)
class Skew:
    """Number of logged predictions whose features differ from the offline store's for their instant."""

    rows: int = 0
    differing: int = 0
    examples: tuple[str, ...] = ()
    """Some differing cells as text."""

    def __add__(self, other: "Skew") -> "Skew":
        examples = (*self.examples, *other.examples)[:EXAMPLES]
        return Skew(self.rows + other.rows, self.differing + other.differing, examples)


def check(project: Project, since: datetime, until: datetime) -> Skew:
    """Recompute the features of the predictions requested in (since, until], and count the rows that differ."""
    skew = Skew()
    for start, end in spans(since, until, CHUNK):
        served = project.log.read(start, end)
        offline = features.training_set(project, served[["event_timestamp", *project.spec.request]])
        skew += compare(project.spec, served, offline)
    return skew


def compare(spec: ProjectSpec, served: DataFrame, offline: DataFrame) -> Skew:
    """Count the rows in which any feature differs: numbers as float32, missing equals missing.

    Args:
        spec: names the columns.
        served: logged predictions: ``id``, ``event_timestamp`` and the features.
        offline: the features recomputed, in the same order.
    """
    differ = DataFrame(index=served.index)
    for column in spec.column_types("number"):
        a = served[column].to_numpy("float32", na_value=np.nan)
        b = offline[column].to_numpy("float32", na_value=np.nan)
        differ[column] = (a != b) & ~(np.isnan(a) & np.isnan(b))
    for column in spec.column_types("category", "text"):
        differ[column] = served[column].to_numpy() != offline[column].to_numpy()
    rows, columns = np.nonzero(differ.to_numpy(bool))
    examples = tuple(
        f"{served['id'].iloc[row]} asked at {served['event_timestamp'].iloc[row]}, {column}: "
        f"served {served[column].iloc[row]}, offline {offline[column].iloc[row]}"
        for row, column in zip(rows[:EXAMPLES], differ.columns[columns[:EXAMPLES]], strict=True)
    )
    return Skew(len(served), len(np.unique(rows)), examples)
