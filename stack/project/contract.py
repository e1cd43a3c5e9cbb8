"""Everything that a project may implement: the protocols between ``projects/<name>/*.py`` and the stack.

A module implements a protocol: its functions are the methods, its constants the attributes. A protocol that extends
another is optional: a module implements it where it defines the name.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from stack.core.errors import StackError
from stack.core.settings import settings
from stack.specification import specs

if TYPE_CHECKING:
    from pandas import DataFrame

    from stack.kit.drift import Verdict, Window
    from stack.kit.models import Candidate, Metric
    from stack.specification.sections import Monitoring

Tables = Mapping[str, "DataFrame"]
"""Raw table -> its rows."""
Values = Mapping[str, list[Any]]
"""Column -> its values, a value a row."""


class Source(Protocol):
    """``source.py``: the origin of the rows."""

    def fetch(self, since: datetime, until: datetime) -> Tables:
        """Return the raw rows that became known in (since, until], by table; of a snapshot table all rows."""


@runtime_checkable
class RequestSource(Source, Protocol):
    """A source of recorded data, for a replay."""

    def requests(self, since: datetime, until: datetime) -> DataFrame:
        """Return the requests of (since, until]: ``event_id``, ``asked_at`` and the request fields."""


@runtime_checkable
class ForecastSource(Source, Protocol):
    """A source that has rows of the future, as a forecast of the weather."""

    def ahead(self, since: datetime, until: datetime) -> DataFrame:
        """Return the request fields of the rows about (since, until]."""


@runtime_checkable
class LateSource(Source, Protocol):
    """A source that says itself when a row came, perhaps long after the instant at which it was to be asked."""

    def late(self, since: datetime, until: datetime) -> DataFrame:
        """Return the requests, as `requests` does, that came in (since, until], of instants up to a day before it."""


@runtime_checkable
class SplitSource(Source, Protocol):
    """A source of long windows, such as the first: their rows are fetched and validated in several batches."""

    def split(self, since: datetime, until: datetime) -> Sequence[datetime]:
        """Return instants between `since` and `until`, in order, each the end of a batch that memory holds."""


@runtime_checkable
class KeepingSource(Source, Protocol):
    """A source that keeps rows until the lake has them."""

    def ingested(self, until: datetime) -> None:
        """Take note that the lake has all rows up to `until`."""


class Features(Protocol):
    """``features.py``: feature tables and labelled events from raw rows. Pure functions."""

    LOOKBACK: timedelta
    """How far before a window :meth:`build` needs raw rows."""

    def build(self, tables: Tables, since: datetime, until: datetime) -> Mapping[str, DataFrame]:
        """Return, by feature view, rows with ``event_timestamp`` in (since, until], from rows since the lookback."""

    def events(self, tables: Tables) -> DataFrame:
        """Return events with :data:`stack.specification.frames.EVENT`, the request fields and the label."""


@runtime_checkable
class RequestFeatures(Features, Protocol):
    """Features of which some are computed from the request alone."""

    def on_request(self, request: Values) -> Values:
        """Return the values of feature columns from those of request fields, row by row."""


class Checks(Protocol):
    """``checks.py``: the expectations of a batch."""

    HISTORY: timedelta
    """Span of accepted data before the window that :meth:`prepare` receives."""
    COLUMNS: Mapping[str, Sequence[str]]
    """Raw table -> columns that it must have."""

    def prepare(self, tables: Tables, history: Tables, since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Return the frames to validate, by name, with each raw table among them."""

    def suites(self) -> dict[str, list[Any]]:
        """Return the expectations of Great Expectations for each frame."""


class Model(Protocol):
    """``model.py``, optional, as each of its names is. See :mod:`stack.kit.models`."""


@runtime_checkable
class ModelCandidates(Model, Protocol):
    """Candidates that compete with those of the stack."""

    CANDIDATES: Mapping[str, Candidate]


@runtime_checkable
class ModelMetric(Model, Protocol):
    """A metric of the project, by which versions are compared."""

    METRIC: Metric


class Drift(Protocol):
    """``drift.py``, optional: the project's drift policy. See :mod:`stack.kit.drift`."""

    def decide(
        self, usual: Verdict, policy: Monitoring, history: Sequence[Window], *, at: datetime, cutoff: datetime | None
    ) -> Verdict:
        """Decide on the last window; `usual` is the verdict of ``monitoring`` in project.yaml."""


def source(name: str) -> Source:
    """Import ``projects/<name>/source.py``, or return the source that project.yaml declares."""
    return cast(Source, _own(name, "source") or _declared(name, "source"))


def request_source(name: str) -> RequestSource:
    """Return the source of recorded data. StackError: it has no ``requests``."""
    module = source(name)
    if isinstance(module, RequestSource):
        return module
    raise StackError(f"projects/{name}/source.py", found="no requests", expected="a function requests(since, until)")


def features(name: str) -> Features:
    """Import ``projects/<name>/features.py``, or return the features that project.yaml declares."""
    return cast(Features, _own(name, "features") or _declared(name, "features"))


def checks(name: str) -> Checks:
    """Import ``projects/<name>/checks.py``, or return the checks that project.yaml declares."""
    return cast(Checks, _own(name, "checks") or _declared(name, "checks"))


def drift(name: str) -> Drift | None:
    """Import ``projects/<name>/drift.py``; None where there is none."""
    return cast("Drift | None", _own(name, "drift"))


def model(name: str) -> Model | None:
    """Import ``projects/<name>/model.py``; None where there is none."""
    return cast("Model | None", _own(name, "model"))


def on_request(name: str) -> Callable[[Values], Values] | None:
    """Return the function that computes features of a request, if any."""
    module = features(name)
    return module.on_request if isinstance(module, RequestFeatures) else None


def _declared(name: str, noun: str) -> Any:
    """Return what project.yaml declares instead of a module, once for each state of the file."""
    path = settings().projects / name / "project.yaml"
    state = path.stat() if path.is_file() else None
    return _of_yaml(name, noun, path, state and (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=64)
def _of_yaml(name: str, noun: str, path: Path, state: object) -> Any:
    spec = specs.read(path) if state else specs.load(name)  # a Bento has an example without its data
    if not spec.columns:
        todo = f"write projects/{name}/{noun}.py, or declare source and columns in project.yaml"
        raise StackError(f"projects/{name}", found=f"no {noun}.py, and no columns", expected=f"{noun}.py", todo=todo)
    return import_module(f"stack.declared.{noun}").of(spec)


def _own(name: str, noun: str) -> ModuleType | None:
    """Import a module of a project; None where the project has none."""
    module = f"projects.{name}.{noun}"
    if loaded := sys.modules.get(module):
        return loaded
    try:
        return import_module(module) if find_spec(module) else None
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            return None
        if (settings().projects / name / "requirements.txt").is_file():
            raise StackError(
                f"projects/{name}/{noun}.py",
                found=f"an import of {error.name} that trainings alone can do",
                expected="packages of requirements.txt imported inside of the functions that use them",
                todo="move the import into the function",
            ) from None
        raise
