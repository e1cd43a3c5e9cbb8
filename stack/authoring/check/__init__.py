"""Find what is wrong with a project, in seconds and before anything runs.

Nothing here imports Feast, Great Expectations or MLflow, which cost 4-6 s each: ``checks.py`` and the Feast module are
read, not run. ``source.py`` and ``features.py`` are run on the project's first window.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from stack.authoring.check import code, specification
from stack.core.errors import StackError
from stack.core.settings import ROOT, settings
from stack.specification import specs

if TYPE_CHECKING:
    import pandas as pd

    from stack.promotion.leaks import Leak

__all__ = ["findings", "leaks"]


def findings(name: str, now: datetime, read: dict[str, pd.DataFrame] | None = None) -> list[StackError]:
    """Return everything that is wrong with a project, its paths relative to the workspace; nothing when it may run.

    Args:
        now: end of the first window of a project on the wall clock.
        read: receives the tables of that window, so that they need not be read again.

    Raises:
        StackError: there is no such project.
    """
    if name not in specs.names():
        specs.load(name)
    folder = settings().projects / name
    spec, errors = specification.findings(folder / "project.yaml")
    code_errors = code.findings(folder, settings().definitions / f"{name}.py", spec)
    if spec is not None and not code_errors:
        from stack.authoring.check import data

        errors += data.findings(spec, now, {} if read is None else read)
    errors += code_errors
    places = [error.where.replace(f"{settings().workspace}/", "").replace(f"{ROOT}/", "") for error in errors]
    return [
        StackError(where, found=error.found, expected=error.expected, todo=error.todo)
        for where, error in zip(places, errors, strict=True)
    ]


def leaks(name: str, now: datetime) -> list[Leak]:
    """Return what gives the outcome away in a project without findings; `now` as for them."""
    from stack.authoring.check import leaking

    return leaking.find(specs.load(name), now)
