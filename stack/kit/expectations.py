"""The expectations that most tables need, for a project's ``checks.py``, beside all others of Great Expectations.

A row that fails is taken out of its batch; where more than 5 % of the rows fail, the batch is refused. A warning takes
nothing out.
"""

from collections.abc import Sequence
from typing import Any

import great_expectations.expectations as gxe

__all__ = ["absent", "among", "between", "present"]


def between(column: str, least: float | None, most: float | None) -> Any:
    """Numbers within a range; missing ones are left alone."""
    return gxe.ExpectColumnValuesToBeBetween(
        column=column,
        min_value=least,
        max_value=most,
        mostly=0.95,
        meta={"scope": "row"},
        description=f"{column} from {least} to {most}",
    )


def present(column: str, missing: float = 0.0) -> Any:
    """A column with a value in every row; with `missing`, a warning when more than that share of rows lacks one."""
    if not missing:
        return gxe.ExpectColumnValuesToNotBeNull(
            column=column, mostly=0.95, meta={"scope": "row"}, description=f"{column} in every row"
        )
    return gxe.ExpectColumnValuesToNotBeNull(
        column=column,
        mostly=1 - missing,
        severity="warning",
        meta={"scope": "batch"},
        description=f"at most {missing:.0%} of {column} missing",
    )


def absent(column: str, description: str) -> Any:
    """A column without a value in any row, as it names what is wrong with a row."""
    return gxe.ExpectColumnValuesToBeNull(column=column, mostly=0.95, meta={"scope": "row"}, description=description)


def among(column: str, values: Sequence[Any], *, strictly: bool = False) -> Any:
    """Values of a set: another value is a warning, or, strictly, takes its row out."""
    return gxe.ExpectColumnValuesToBeInSet(
        column=column,
        value_set=list(values),
        mostly=0.95 if strictly else 1.0,
        severity="critical" if strictly else "warning",
        meta={"scope": "row" if strictly else "batch"},
        description=f"{column} among {len(values)} known values",
    )
