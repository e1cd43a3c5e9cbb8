"""Where the feature rooms reach beneath Feast's public API, which is `FeatureStore` and the definition classes."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pyarrow as pa
from feast import FeatureStore, FeatureView, OnDemandFeatureView
from feast.online_response import OnlineResponse
from feast.types import Bool, Float64, Int64, String
from feast.utils import _convert_arrow_to_proto

SECOND = 1_000_000
CASTS: dict[Any, Callable[[Any], Any]] = {Float64: float, Int64: int, String: str, Bool: bool}
"""Type of a derived feature -> what its values become."""


class Vector(NamedTuple):
    """One feature of the rows of an online response."""

    values: Sequence[Any]
    """None where one is null."""
    stamps: Sequence[Any]
    """Messages of the event times."""

    def times(self) -> list[int]:
        """Return the event times in microseconds since the epoch; 0 where nothing is known of the entity."""
        return [at.seconds * SECOND + at.nanos // 1000 for at in self.stamps]


def silence_registry_warnings() -> None:
    """Hide Feast's warning about two registry options that feature_store.yaml sets on purpose.

    Tool: Feast
    Reach: the logger "feast.repo_config"
    Why: Feast warns of `serve_features_while_materializing` with `cache_mode: thread` whenever a store is opened, and
    no option turns that off.
    Upstream: none known (feast/repo_config.py, RegistryConfig)
    """
    logging.getLogger("feast.repo_config").setLevel(logging.ERROR)


def merge_intervals(store: FeatureStore, view: FeatureView, limit: int) -> None:
    """Merge the materialisation intervals of a view into one when there are more than `limit`.

    Tool: Feast
    Reach: FeatureView.materialization_intervals, written back with the registry's apply_feature_view
    Why: Feast records each materialisation for ever, 8,760 a year for an hourly project, in the message of the view.
    Upstream: https://github.com/feast-dev/feast/issues/5800
    """
    if len(view.materialization_intervals) > limit:
        starts, ends = zip(*view.materialization_intervals, strict=True)
        view.materialization_intervals = [(min(starts), max(ends))]
        store.registry.apply_feature_view(view, store.project)


def vectors(response: OnlineResponse) -> Mapping[str, Vector]:
    """Return the values and event times of an online response, by feature.

    Tool: Feast
    Reach: OnlineResponse.proto, a GetOnlineFeaturesResponse
    Why: the online store has no ttl, so each value's event time is needed, to the microsecond. `OnlineResponse.to_dict`
    cuts it to seconds.
    Upstream: https://github.com/feast-dev/feast/issues/6821
    """
    proto = response.proto
    return {
        name: Vector([*map(value_of, result.values)], result.event_timestamps)
        for name, result in zip(proto.metadata.feature_names.val, proto.results, strict=True)
    }


def on_demand_views(store: FeatureStore, names: Sequence[str]) -> list[OnDemandFeatureView] | None:
    """Return the on-demand views of these names, as the registry has them now; None where :func:`derive` takes not all.

    Tool: Feast
    Reach: FeatureStore.registry, and its cached list_on_demand_feature_views
    Why: `list_on_demand_feature_views` of a store parses all of them at each call, which takes 1 ms.
    Upstream: none known (feast/feature_store.py)
    """
    views = [view for view in store.registry.list_on_demand_feature_views(store.project, True) if view.name in names]
    plain = all(
        view.mode == "python"
        and not (view.singleton or view.aggregations or view.write_to_online_store)
        and all(field.dtype in CASTS for field in view.features)
        for view in views
    )
    return views if plain else None


def derive(
    views: Sequence[OnDemandFeatureView],
    rows: Mapping[str, Sequence[Any]],
    stored: Mapping[str, Mapping[str, Sequence[Any]]],
) -> dict[str, list[Any]]:
    """Return the features of on-demand views, as `get_online_features` gives them.

    Tool: Feast
    Reach: OnDemandFeatureView.transform_dict and source_feature_view_projections
    Why: `get_online_features` makes a message of each value that it gives to a view or gets from one, which takes half
    of the time of a forecast's 48 rows.
    Upstream: none known (feast/utils.py, _augment_response_with_on_demand_transforms)

    Args:
        views: of :func:`on_demand_views`.
        rows: join keys and request fields, column by column.
        stored: feature view -> its features.
    """
    derived = {}
    for view in views:
        sources = [projection.name for projection in view.source_feature_view_projections.values()]
        inputs = {name: [*values] for name, values in rows.items()}
        inputs |= {name: [*values] for source in sources for name, values in stored.get(source, {}).items()}
        made = view.transform_dict(inputs)
        for field in view.features:
            values, cast = made[field.name], CASTS[field.dtype]
            derived[field.name] = [None if value is None or value != value else cast(value) for value in values]
    return derived


class OnlineRow(NamedTuple):
    """A feature row as Feast's online stores take it."""

    key: Any
    values: Mapping[str, Any]
    event_timestamp: datetime
    created_timestamp: datetime | None


def online_rows(view: FeatureView, rows: pa.Table) -> list[OnlineRow]:
    """Return the rows of a feature table in the form that :func:`write_online` takes.

    Tool: Feast
    Reach: feast.utils._convert_arrow_to_proto
    Why: `write_to_online_store` converts at each call, which takes 5 of its 8 ms for the rows of an hour; a replay
    writes 96 times a day.
    Upstream: none known (feast/infra/passthrough_provider.py, _prep_rows_to_write_for_ingestion)
    """
    if not rows.num_rows:
        return []
    keys = {entity.name: entity.dtype.to_value_type() for entity in view.entity_columns}
    converted = _convert_arrow_to_proto(rows.combine_chunks(), view, keys)
    return [OnlineRow(key, values, at.replace(tzinfo=UTC), created) for key, values, at, created in converted]


def write_online(store: FeatureStore, view: FeatureView, rows: Sequence[OnlineRow]) -> None:
    """Write rows to the online store in one transaction, those that are all null too; an entity's last row stays.

    Tool: Feast
    Reach: FeatureStore.provider, and its online_write_batch
    Why: as :func:`online_rows`.
    Upstream: none known (feast/infra/provider.py)
    """
    newest = {row.key.SerializeToString(deterministic=True): row for row in rows}
    store.provider.online_write_batch(store.config, view, [*newest.values()], None)


def value_of(message: Any) -> Any:
    """Return the Python value of one of Feast's value messages; None when it has none.

    Tool: Feast
    Reach: the oneof "val" of feast.types.Value
    Why: what `OnlineResponse.to_dict` reads the same message with, feast.type_map, is not public either, and goes
    through the types of lists, sets and maps that no feature here has.
    Upstream: none known (protos/feast/types/Value.proto)
    """
    kind = message.WhichOneof("val")
    return None if kind is None else getattr(message, kind)
