"""What project.yaml says of a tract, and that few median values were cut."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import great_expectations.expectations as gxe
import pandas as pd

from stack.kit.expectations import among, between, present

HISTORY = timedelta(0)
REQUEST = ["crim", "zn", "indus", "chas", "nox", "rm", "age", "dis", "rad", "tax", "ptratio", "lstat"]
COLUMNS = {"rows": [*REQUEST, "medv"]}
"""Columns that the table must have, besides its key."""
CAP = 50.0
"""Median values ($1,000) were cut here: 50 stands for 50 and more."""


def prepare(
    tables: Mapping[str, pd.DataFrame], history: Mapping[str, pd.DataFrame], since: datetime, until: datetime
) -> dict[str, pd.DataFrame]:
    """Look at the rows, and at the share of capped values."""
    rows = tables["rows"]
    return {"rows": rows, "rows_together": pd.DataFrame({"capped": [(rows["medv"] >= CAP).mean()]})}


def suites() -> dict[str, list[Any]]:
    """List the expectations."""
    return {
        "rows": [
            *(present(name) for name in REQUEST),
            among("chas", [0, 1], strictly=True),
            between("nox", 0.1, 1.5),
            between("rm", 1, 12),
            between("rad", 1, 24),
            between("ptratio", 5, 30),
            *(between(share, 0, 100) for share in ("zn", "indus", "age", "lstat")),
            between("medv", 1, CAP),
        ],
        "rows_together": [
            gxe.ExpectColumnValuesToBeBetween(
                column="capped",
                max_value=0.05,
                severity="warning",
                description=f"at most 5 % of the median values cut at {CAP:.0f}",
            )
        ],
    }
