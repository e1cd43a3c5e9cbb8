"""Features of the ferries, as native Feast definitions."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, String

from stack.core.settings import settings

harbour = Entity(name="harbour", value_type=ValueType.STRING)
ferries_stats = FeatureView(
    name="ferries_stats",
    entities=[harbour],
    ttl=timedelta(hours=2),
    schema=[Field(name="harbour", dtype=String), Field(name="late_6h", dtype=Float32)],
    source=FileSource(
        name="ferries_stats",
        path=f"{settings().feature_tables}/ferries/ferries_stats",
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    ),
)
forecast = RequestSource(name="ferries_forecast", schema=[Field(name="wind", dtype=Float64)])


@on_demand_feature_view(
    sources=[forecast],
    schema=[Field(name="wind_now", dtype=Float64), Field(name="harbour_id", dtype=String)],
    mode="python",
)
def ferries_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    from projects.ferries.features import on_request

    return on_request({"harbour": ["Oban"]} | columns)


ferries_v1 = FeatureService(name="ferries_v1", features=[ferries_stats, ferries_on_request])
