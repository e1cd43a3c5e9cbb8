"""Online features of a request, as the offline store would give them for the same instant."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from feast import FeatureStore

from stack.core.settings import Settings
from stack.features import _compat, features
from stack.project import Project
from stack.specification import forecasts

NAN = float("nan")
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class OnlineRows(NamedTuple):
    """Features of some requests, column by column."""

    columns: dict[str, list[Any]]
    """All feature columns in the model's order: floats (missing: NaN) and strings."""
    times: list[datetime | None]
    """Oldest event time among the features that a row uses, but for those of the same time on other days; None where it
    uses none."""
    warnings: list[list[str]]
    """What is missing in a row: a view that has no value of its entity, or no recent one."""


class View(NamedTuple):
    """What is needed of a feature view to decide which of its values may be used."""

    name: str
    keys: list[str]
    columns: list[str]
    ttl: int
    """Microseconds; 0 is for ever."""
    recurs: bool
    """Whether its values are those of the same time on other days, so that their age says nothing."""

    def is_usable(self, time: int, instant: int) -> bool:
        """Return whether a value of this event time may be used at an instant."""
        return 0 < time <= instant and (not self.ttl or instant <= time + self.ttl)

    def warning(self, keys: Mapping[str, Any], time: int, instant: int) -> str:
        """Return why the values of an entity may not be used."""
        entity = ", ".join(f"{key} {value}" for key, value in keys.items())
        if not time:
            return f"{self.name}: nothing known of {entity}"
        at = _instant(time).isoformat()
        if time > instant:
            return f"{self.name}: the values of {entity} are of {at}, later than this request"
        return f"{self.name}: the newest values of {entity} are of {at}, too old to use"


class OnlineFeatures:
    """The online features of a project; the store and the service stay open between requests."""

    def __init__(self, project: Project) -> None:
        """Open the store and read once, which loads a second's worth of modules."""
        self.spec, kinds = project.spec, project.spec.features.columns
        self.store = _store(project.settings)
        self.service = features.service(self.store, project.spec)
        time = forecasts.time_of(project.spec) if project.spec.forecast else ""
        slots = {*forecasts.slot_names(time, keyed=True).values()}
        self.views = [
            View(
                view.name,
                list(view.join_keys),
                [field.name for field in view.features],
                (view.ttl or timedelta(0)) // MICROSECOND,
                not slots.isdisjoint(view.join_keys),
            )
            for view in features.views(self.store, project.spec)
        ]
        self.stored = [f"{view.name}:{column}" for view in self.views for column in view.columns]
        self.join_keys = {key for view in self.views for key in view.keys}
        self.projections = self.service.feature_view_projections
        self.missing = {name: NAN if kind == "number" else None for name, kind in kinds.items()}
        # What is read below comes from Feast's copy of the registry, which may be older than this project.
        self.store.refresh_registry()
        example = {name: field.value for name, field in project.spec.request.items()}
        self.read([example], EPOCH)

    def read(self, requests: Sequence[Mapping[str, Any]], now: datetime | Sequence[datetime]) -> OnlineRows:
        """Return the features of each request at `now`, one instant for all or one each.

        Feast's online store has no ttl: a value older than its view's ttl at `now`, or younger than `now`, is missing
        here as it is offline.
        """
        fields = {name: [request[name] for request in requests] for name in self.spec.request}
        rows = forecasts.with_slots(self.spec, fields)
        vectors = self._vectors(rows)
        oldest: list[int | None] = [None] * len(requests)
        warnings: list[list[str]] = [[] for _ in requests]
        instants = [(at - EPOCH) // MICROSECOND for at in ([now] * len(requests) if isinstance(now, datetime) else now)]
        # Features that follow from the request alone belong to no view, and are always usable.
        usable = dict.fromkeys(self.missing, [True] * len(requests))
        for view in self.views:
            times = vectors[view.columns[0]].times()
            usable_rows = [view.is_usable(time, instant) for time, instant in zip(times, instants, strict=True)]
            for row, time in enumerate(times):
                if usable_rows[row] and not view.recurs:
                    oldest[row] = min(oldest[row] or time, time)
                if not usable_rows[row]:
                    entity = {key: rows[key][row] for key in view.keys}
                    warnings[row].append(view.warning(entity, time, instants[row]))
            usable |= dict.fromkeys(view.columns, usable_rows)
        columns = {name: _values(vectors[name].values, usable[name], self.missing[name]) for name in self.missing}
        return OnlineRows(columns, [None if time is None else _instant(time) for time in oldest], warnings)

    def _vectors(self, rows: Mapping[str, Sequence[Any]]) -> Mapping[str, _compat.Vector]:
        """Return all features of rows: the stored ones by Feast, and then what on-demand views make of them."""
        views = _compat.on_demand_views(self.store, [projection.name for projection in self.projections])
        if views is None or any(projection.name_alias or projection.join_key_map for projection in self.projections):
            return _compat.vectors(self.store.get_online_features(features=self.service, entity_rows=rows))
        keys = {key: rows[key] for key in self.join_keys}
        read = self.store.get_online_features(features=self.stored, entity_rows=keys) if self.stored else None
        found = _compat.vectors(read) if read else {}
        asked = {name: _as_read(field.field_type.read, rows[name]) for name, field in self.spec.request.items()}
        of_view = {view.name: {column: found[column] for column in view.columns} for view in self.views}
        return {**found, **_compat.derive(views, {**rows, **asked}, of_view)}


@lru_cache(maxsize=4)
def _store(settings: Settings) -> FeatureStore:
    """One store for all projects of a process: two of them would clear each other's cache at every read."""
    return features.store(settings)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _compat.SECOND, UTC)


def _as_read(read: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return the values of a request field as on-demand views take them, offline too: instants in whole seconds."""
    return [None if value is None else read(value) for value in values]


def _values(values: Sequence[Any], usable: Sequence[bool], missing: Any) -> list[Any]:
    """Return the values of a feature; one that is null or may not be used is `missing`."""
    return [value if allowed and value is not None else missing for value, allowed in zip(values, usable, strict=True)]
