"""Features of the toy project, as native Feast definitions."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float32, Float64, Int64, String, UnixTimestamp

from stack.core.settings import settings

TABLES = settings().feature_tables / "toy"

shop_id_key = Entity(name="toy_shop_id", join_keys=["shop_id"], value_type=ValueType.INT64)
shop_id_past = FeatureView(
    name="toy_shop_id_past",
    entities=[shop_id_key],
    ttl=timedelta(days=2),
    schema=[
        Field(name="shop_id", dtype=Int64),
        Field(name="shop_id_rows_7d", dtype=Float32),
        Field(name="shop_id_rows_28d", dtype=Float32),
        Field(name="shop_id_many_7d", dtype=Float32),
        Field(name="shop_id_many_28d", dtype=Float32),
        Field(name="shop_id_price_7d", dtype=Float32),
        Field(name="shop_id_price_28d", dtype=Float32),
    ],
    source=FileSource(
        name="toy_shop_id_past",
        path=f"{TABLES}/toy_shop_id_past",
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    ),
    description="Means over the rows of a shop_id that were known before",
)

# What the caller knows besides the keys.
toy_request = RequestSource(
    name="toy_request",
    schema=[
        Field(name="price", dtype=Float64),
        Field(name="promo", dtype=Bool),
        Field(name="weather", dtype=String),
        Field(name="sold_at", dtype=UnixTimestamp),
    ],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]  # Feast ships no types
    sources=[toy_request],
    schema=[
        Field(name="price", dtype=Float64),
        Field(name="promo", dtype=Float64),
        Field(name="weather", dtype=String),
        Field(name="shop_id_category", dtype=String),
        Field(name="sold_at_hour", dtype=Float64),
        Field(name="sold_at_weekday", dtype=Float64),
        Field(name="sold_at_month", dtype=Float64),
    ],
    mode="python",
)
def toy_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """Features of the request alone; Feast stores this source text, so it imports what it needs."""
    from datetime import datetime

    from projects.toy.features import on_request

    # Feast tries a definition out with sample values of the request source alone.
    given = {"shop_id": [1]} | columns
    # Feast's HTTP server passes on what is in the JSON: text.
    moments = given["sold_at"]
    given["sold_at"] = [datetime.fromisoformat(at) if isinstance(at, str) else at for at in moments]
    return on_request(given)


toy_v1 = FeatureService(
    name="toy_v1",
    features=[shop_id_past, toy_on_request],
    description="All features of the toy project",
)
