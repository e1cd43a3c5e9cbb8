"""Name a column that has gone from a source: asking for it again is no use."""

import re
import traceback
from collections.abc import Callable
from typing import TypeVar

import pandas as pd

from stack.core.errors import StackError
from stack.project import Project

T = TypeVar("T")
QUOTED = re.compile(r"'([^']+)'")
USECOLS = "Usecols do not match columns"


def explained(project: Project, fetch: Callable[[], T]) -> T:
    """Return what a source gives.

    Raises:
        StackError: it asks pandas for a column that is not there.
    """
    try:
        return fetch()
    except (KeyError, AttributeError, ValueError) as error:
        steps = list(traceback.walk_tb(error.__traceback__))
        frames = [owner for step, _ in steps if isinstance(owner := step.f_locals.get("self"), pd.DataFrame)]
        there = [str(column) for column in frames[-1]] if frames else []
        named = QUOTED.findall(str(error)) or [str(error)]
        gone = [name for name in named if name not in there and name != "DataFrame"]
        is_column = USECOLS in str(error) if isinstance(error, ValueError) else bool(frames)
        if not gone or not is_column:
            raise
        source = project.spec.folder / "source.py"
        lines = [line for step, line in steps if step.f_code.co_filename == str(source)]
        raise StackError(
            f"{getattr(project.source, 'FILE', 'source')}, read in {source}{f', line {lines[-1]}' if lines else ''}",
            found=f"no column {', '.join(gone)}" + (f"; there are {', '.join(there)}" if there else ""),
            expected="the columns that the project was made with",
            todo="bring the column back, or take it out of the project's files, then `make ingest` again",
        ) from error
