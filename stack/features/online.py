"""Online features of a request, as the offline store would give them for the same instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from feast import FeatureStore, FeatureView

from stack.core.settings import Settings
from stack.features import _compat, features
from stack.project import Project

NAN = float("nan")


@dataclass(frozen=True)
class OnlineRows:
    """Features of some requests, column by column."""

    columns: dict[str, list[Any]]
    """All feature columns in the model's order: floats (missing: NaN) and strings."""
    times: list[datetime | None]
    """Oldest event time among the features that a row uses; None where it uses none."""
    warnings: list[list[str]]
    """What is missing in a row: a view that has no value of its entity, or no recent one."""


class View(NamedTuple):
    """What is needed of a feature view to decide which of its values may be used."""

    name: str
    keys: list[str]
    columns: list[str]
    ttl: int
    """Microseconds; 0 is for ever."""


class OnlineFeatures:
    """The online features of a project; the store and the service stay open between requests."""

    def __init__(self, project: Project) -> None:
        """Open the store and read once, which loads a second's worth of modules.

        Raises:
            StackError: the project's definitions have not been applied.
        """
        self.spec = project.spec
        self.store = _store(project.settings)
        self.service = features.service(self.store, project.spec)
        self.views = [_view(view) for view in features.views(self.store, project.spec)]
        stored = {column for view in self.views for column in view.columns}
        self.derived = [column for column in project.spec.features.columns if column not in stored]
        self.missing = {
            name: None if kind == "category" else NAN for name, kind in project.spec.features.columns.items()
        }
        example = {name: field.value for name, field in project.spec.request.items()}
        self.read([example], datetime.fromtimestamp(0, UTC))

    def read(self, requests: Sequence[Mapping[str, Any]], now: datetime | Sequence[datetime]) -> OnlineRows:
        """Return the features of each request at `now`, one instant for all or one each.

        Feast's online store has no ttl: a value older than its view's ttl at `now`, or younger than `now`, is missing
        here as it is offline.
        """
        rows = {name: [request[name] for request in requests] for name in self.spec.request}
        vectors = _compat.vectors(self.store.get_online_features(features=self.service, entity_rows=rows))
        columns: dict[str, list[Any]] = {}
        oldest: list[int | None] = [None] * len(requests)
        warnings: list[list[str]] = [[] for _ in requests]
        instants = [_micros(now)] * len(requests) if isinstance(now, datetime) else [_micros(at) for at in now]
        for view in self.views:
            times = vectors[view.columns[0]].times
            usable = [
                0 < time <= instant and (not view.ttl or instant <= time + view.ttl)
                for time, instant in zip(times, instants, strict=True)
            ]
            for row, time in enumerate(times):
                if usable[row]:
                    oldest[row] = min(oldest[row] or time, time)
                else:
                    warnings[row].append(_warning(view, requests[row], time, instants[row]))
            for column in view.columns:
                columns[column] = _values(vectors[column].values, usable, self.missing[column])
        for column in self.derived:
            columns[column] = _values(vectors[column].values, [True] * len(requests), self.missing[column])
        times_used = [None if time is None else _instant(time) for time in oldest]
        return OnlineRows({column: columns[column] for column in self.spec.features.columns}, times_used, warnings)


@lru_cache(maxsize=4)
def _store(settings: Settings) -> FeatureStore:
    """One store for all projects of a process: two of them would clear each other's cache at every read."""
    return features.store(settings)


def _view(view: FeatureView) -> View:
    ttl = view.ttl or timedelta(0)
    return View(
        view.name, list(view.join_keys), [field.name for field in view.features], ttl // timedelta(microseconds=1)
    )


def _micros(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _compat.SECOND, UTC)


def _values(messages: Sequence[Any], usable: Sequence[bool], missing: Any) -> list[Any]:
    """Return the values of a feature; one that is null or may not be used is `missing`."""
    values = (_compat.value_of(message) if wanted else None for message, wanted in zip(messages, usable, strict=True))
    return [missing if value is None else value for value in values]


def _warning(view: View, request: Mapping[str, Any], time: int, instant: int) -> str:
    """Return why the values of a view may not be used."""
    entity = ", ".join(f"{key} {request[key]}" for key in view.keys)
    if not time:
        return f"{view.name}: nothing known of {entity}"
    at = _instant(time).isoformat()
    if time > instant:
        return f"{view.name}: the values of {entity} are of {at}, later than this request"
    return f"{view.name}: the newest values of {entity} are of {at}, too old to use"
