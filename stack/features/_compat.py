"""Where the feature rooms reach beneath Feast's public API, which is `FeatureStore` and the definition classes."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from feast import FeatureStore, FeatureView
from feast.online_response import OnlineResponse

SECOND = 1_000_000


class Vector(NamedTuple):
    """One feature of the rows of an online response."""

    values: Sequence[Any]
    """Feast's value messages; read one with :func:`value_of`."""
    times: list[int]
    """Event times in microseconds since the epoch; 0 where nothing is known of the entity."""


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
        name: Vector(result.values, [at.seconds * SECOND + at.nanos // 1000 for at in result.event_timestamps])
        for name, result in zip(proto.metadata.feature_names.val, proto.results, strict=True)
    }


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
