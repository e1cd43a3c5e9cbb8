"""What a project may implement: the surface between ``projects/<name>/*.py`` and the stack, whole.

A module is the implementation of a protocol: its functions are the methods, its constants the attributes. Protocols
that extend another one are optional; a module has one of them where it defines the name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from stack.core.errors import StackError

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
    """``source.py``: where the rows come from."""

    def fetch(self, since: datetime, until: datetime) -> Tables:
        """Raw rows that became known in (since, until], by table; of a snapshot table all rows."""
        ...


@runtime_checkable
class RequestSource(Source, Protocol):
    """A source of recorded data, which a replay plays back."""

    def requests(self, since: datetime, until: datetime) -> DataFrame:
        """Events that were asked about in (since, until]: the request fields and ``event_timestamp``."""
        ...


class Features(Protocol):
    """``features.py``: feature tables and labelled events from raw rows. Pure functions."""

    LOOKBACK: timedelta
    """How far before a window :meth:`build` needs raw rows."""

    def build(self, tables: Tables, since: datetime, until: datetime) -> Mapping[str, DataFrame]:
        """Feature view -> its rows with ``event_timestamp`` in (since, until], from raw rows since the lookback."""
        ...

    def events(self, tables: Tables) -> DataFrame:
        """Events: ``event_id``, ``event_timestamp``, ``label_available_at``, the request fields and the label."""
        ...


@runtime_checkable
class RequestFeatures(Features, Protocol):
    """Features of which some follow from the request alone."""

    def on_request(self, request: Values) -> Values:
        """Feature column -> values, from request field -> values, row by row."""
        ...


class Checks(Protocol):
    """``checks.py``: what a batch must be."""

    HISTORY: timedelta
    """How much accepted data before the window :meth:`prepare` is given."""
    COLUMNS: Mapping[str, Sequence[str]]
    """Raw table -> columns that it must have."""

    def prepare(self, tables: Tables, history: Tables, since: datetime, until: datetime) -> dict[str, DataFrame]:
        """Frames to validate, by name; each raw table is one of them."""
        ...

    def suites(self) -> dict[str, list[Any]]:
        """Expectations of Great Expectations for each frame."""
        ...


class Model(Protocol):
    """``model.py``, optional, as each of its names is. See :mod:`stack.kit.models`."""


@runtime_checkable
class ModelCandidates(Model, Protocol):
    """Candidates that compete with the stack's own."""

    CANDIDATES: Mapping[str, Candidate]


@runtime_checkable
class ModelMetric(Model, Protocol):
    """A metric of the project's own, by which versions are compared."""

    METRIC: Metric


class Drift(Protocol):
    """``drift.py``, optional: a drift policy of the project's own. See :mod:`stack.kit.drift`."""

    def decide(
        self, usual: Verdict, policy: Monitoring, history: Sequence[Window], *, at: datetime, cutoff: datetime | None
    ) -> Verdict:
        """Decide on the last window; `usual` is the verdict of ``monitoring`` in project.yaml."""
        ...


def source(name: str) -> Source:
    """Import ``projects/<name>/source.py``."""
    return cast(Source, import_module(f"projects.{name}.source"))


def request_source(name: str) -> RequestSource:
    """Import ``projects/<name>/source.py`` of recorded data.

    Raises:
        StackError: it has no ``requests``.
    """
    module = source(name)
    if not isinstance(module, RequestSource):
        raise StackError(
            f"projects/{name}/source.py", found="no requests", expected="a function requests(since, until)"
        )
    return module


def features(name: str) -> Features:
    """Import ``projects/<name>/features.py``."""
    return cast(Features, import_module(f"projects.{name}.features"))


def checks(name: str) -> Checks:
    """Import ``projects/<name>/checks.py``."""
    return cast(Checks, import_module(f"projects.{name}.checks"))


def drift(name: str) -> Drift | None:
    """Import ``projects/<name>/drift.py``; None where there is none."""
    return cast("Drift | None", _optional(f"projects.{name}.drift"))


def model(name: str) -> Model | None:
    """Import ``projects/<name>/model.py``; None where there is none."""
    return cast("Model | None", _optional(f"projects.{name}.model"))


def on_request(name: str) -> Callable[[Values], Values] | None:
    """The function of ``projects/<name>/features.py`` that makes features of a request, if it has one."""
    module = features(name)
    return module.on_request if isinstance(module, RequestFeatures) else None


def _optional(module: str) -> ModuleType | None:
    try:
        return import_module(module) if find_spec(module) else None
    except ModuleNotFoundError as error:
        if error.name and module.startswith(error.name):
            return None
        raise
