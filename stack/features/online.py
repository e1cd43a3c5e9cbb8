"""Online features of a request, as the offline store would give them for the same instant."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, Self

from feast import FeatureService, FeatureStore

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

    def problem(self, entity: Mapping[str, Any], time: int, instant: int) -> str:
        """Return why an entity's values of an event time may not be used at an instant; empty where they may."""
        if 0 < time <= instant and (not self.ttl or instant <= time + self.ttl):
            return ""
        keys = ", ".join(f"{key} {entity[key]}" for key in self.keys)
        if not time:
            return f"{self.name}: nothing known of {keys}"
        at = _instant(time).isoformat()
        if time > instant:
            return f"{self.name}: the values of {keys} are of {at}, later than this request"
        return f"{self.name}: the newest values of {keys} are of {at}, too old to use"


class Entities(NamedTuple):
    """The different entities of some rows by the same keys, each with an instant; each is read once."""

    keys: list[dict[str, Any]]
    instants: list[int]
    places: list[int]
    """Of the entity of each row."""

    @classmethod
    def of(cls, names: Sequence[str], rows: Mapping[str, Sequence[Any]], instants: Sequence[int]) -> Self:
        """Return the entities of rows by keys of these names."""
        asked = [*zip(instants, *(rows[name] for name in names), strict=True)]
        places = {entity: place for place, entity in enumerate(dict.fromkeys(asked))}
        keys = [dict(zip(names, entity[1:], strict=True)) for entity in places]
        return cls(keys, [entity[0] for entity in places], [places[entity] for entity in asked])

    def spread(self, values: Sequence[Any]) -> list[Any]:
        """Return the value of each row from those of the entities."""
        return [values[place] for place in self.places]


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
        self.groups = _groups(view.keys for view in self.views)
        projections = self.service.feature_view_projections
        self.projections = [projection.name for projection in projections]
        self.renames = any(projection.name_alias or projection.join_key_map for projection in projections)
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
        instants = [(at - EPOCH) // MICROSECOND for at in ([now] * len(requests) if isinstance(now, datetime) else now)]
        views = None if self.renames else _compat.on_demand_views(self.store, self.projections)
        # Where Feast makes the features of on-demand views, an entity is a whole row.
        groups = [Entities.of(names, rows, instants) for names in ([[*rows]] if views is None else self.groups)]
        found = self._read(self.service if views is None else self.stored, groups)
        oldest: list[int | None] = [None] * len(requests)
        warnings: list[list[str]] = [[] for _ in requests]
        columns: dict[str, list[Any]] = {}
        for view in self.views:
            entities = next((group for group in groups if view.keys[0] in group.keys[0]), groups[0])
            times = found[view.columns[0]].times()
            problems = [*map(view.problem, entities.keys, times, entities.instants)]
            for row, place in enumerate(entities.places):
                if problems[place]:
                    warnings[row].append(problems[place])
                elif not view.recurs:
                    oldest[row] = min(oldest[row] or times[place], times[place])
            for name in view.columns:
                values = zip(found[name].values, problems, strict=False)
                columns[name] = entities.spread([None if problem else value for value, problem in values])
        if views is None:
            columns = {name: groups[0].spread(vector.values) for name, vector in found.items()} | columns
        else:
            asked = {name: _as_read(field.field_type.read, rows[name]) for name, field in self.spec.request.items()}
            of_view = {view.name: {name: columns[name] for name in view.columns} for view in self.views}
            columns |= _compat.derive(views, {**rows, **asked}, of_view)
        columns = {name: _filled(columns[name], missing) for name, missing in self.missing.items()}
        return OnlineRows(columns, [None if time is None else _instant(time) for time in oldest], warnings)

    def _read(self, features: list[str] | FeatureService, groups: Sequence[Entities]) -> Mapping[str, _compat.Vector]:
        """Return the features of the entities of all groups, which are read side by side, so that some may repeat."""
        count = max((len(group.keys) for group in groups), default=0)
        padded = [group.keys + group.keys[-1:] * (count - len(group.keys)) for group in groups]
        keys = {name: [entity[name] for entity in entities] for entities in padded for name in entities[0]}
        return _compat.vectors(self.store.get_online_features(features=features, entity_rows=keys)) if keys else {}


@lru_cache(maxsize=4)
def _store(settings: Settings) -> FeatureStore:
    """One store for all projects of a process: two of them would clear each other's cache at every read."""
    return features.store(settings)


@lru_cache(maxsize=4096)
def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / _compat.SECOND, UTC)


def _as_read(read: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    """Return the values of a request field as on-demand views take them, offline too: instants in whole seconds."""
    return [None if value is None else read(value) for value in values]


def _filled(values: Sequence[Any], missing: Any) -> list[Any]:
    """Return the values of a feature, `missing` instead of None."""
    return [missing if value is None else value for value in values]


def _groups(keys: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the join keys of views in groups, so that no view has keys of two."""
    groups: list[list[str]] = []
    for names in keys:
        shared = [group for group in groups if {*group} & {*names}]
        groups = [group for group in groups if group not in shared] + [sorted({*names}.union(*shared))]
    return groups
