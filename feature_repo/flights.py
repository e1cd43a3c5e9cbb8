"""Features of the flights project, as native Feast definitions."""

from datetime import timedelta

from feast import Entity, FeatureService, FeatureView, Field, FileSource, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float32, Float64, String, UnixTimestamp

from stack.core.settings import settings

TABLES = settings().feature_tables / "flights"
# A tight ttl keeps the point-in-time join cheap: its cost grows with it.
HOURLY, PUBLISHED = timedelta(hours=2), timedelta(hours=3)

# What a request names: the airport of departure, the airline, the airport of arrival.
origin = Entity(name="origin", value_type=ValueType.STRING, description="Airport of departure, IATA code")
carrier = Entity(name="carrier", value_type=ValueType.STRING, description="Airline, two-character code")
dest = Entity(name="dest", value_type=ValueType.STRING, description="Airport of arrival, IATA code")


def hourly(view: str) -> FileSource:
    """Parquet files of one feature table, hourly ticks."""
    return FileSource(
        name=f"flights_{view}",
        path=f"{TABLES}/{view}",
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )


def delays(entity: Entity) -> FeatureView:
    """Mean delay and late share of the landings of the last 2, 6 and 24 hours."""
    return FeatureView(
        name=f"{entity.name}_stats",
        entities=[entity],
        ttl=HOURLY,
        schema=[Field(name=entity.join_key, dtype=String)]
        + [
            Field(name=f"{entity.name}_{what}_{hours}h", dtype=Float32, description=f"{text} of the last {hours} h")
            for hours in (2, 6, 24)
            for what, text in (("delay", "Mean arrival delay, minutes,"), ("late", "Share of late flights"))
        ],
        source=hourly(f"{entity.name}_stats"),
        description=f"Punctuality of a flight's {entity.name}, landed flights only",
    )


origin_stats = delays(origin)
carrier_stats = delays(carrier)
dest_stats = delays(dest)

# Weather of an hour is known when the hour has passed.
weather = FeatureView(
    name="weather",
    entities=[origin],
    ttl=PUBLISHED,
    schema=[
        Field(name="origin", dtype=String),
        Field(name="temp", dtype=Float32, description="Temperature, °F"),
        Field(name="dewp", dtype=Float32, description="Dew point, °F"),
        Field(name="humid", dtype=Float32, description="Relative humidity, %"),
        Field(name="wind_dir", dtype=Float32, description="Wind direction, degrees"),
        Field(name="wind_speed", dtype=Float32, description="Wind speed, mph"),
        Field(name="precip", dtype=Float32, description="Precipitation, inches"),
        Field(name="visib", dtype=Float32, description="Visibility, miles"),
    ],
    source=hourly("weather"),
    description="Hourly weather at the airport of departure, from its publication",
)

# What the caller knows besides the entities.
schedule = RequestSource(
    name="flights_schedule",
    schema=[Field(name="sched_dep", dtype=UnixTimestamp), Field(name="sched_arr", dtype=UnixTimestamp)],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]  # Feast ships no types
    sources=[schedule],
    # Feast infers these from the function and takes no description here; features.on_request documents them.
    schema=[Field(name=name, dtype=Float64) for name in ("dep_minute", "dep_weekday", "sched_elapsed")]
    + [Field(name=name, dtype=String) for name in ("carrier_id", "origin_id", "dest_id")],
    mode="python",
)
def flights_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """Features of the request alone; Feast stores this source text, so it imports what it needs."""
    from datetime import datetime

    from projects.flights.features import on_request

    # Feast tries a definition out with sample values of the request source alone.
    given = {"carrier": ["AA"], "origin": ["EWR"], "dest": ["ORD"]} | columns
    for name in ("sched_dep", "sched_arr"):
        # Feast's HTTP server passes on what is in the JSON: text.
        given[name] = [datetime.fromisoformat(at) if isinstance(at, str) else at for at in given[name]]
    return on_request(given)


flights_v1 = FeatureService(
    name="flights_v1",
    features=[origin_stats, carrier_stats, dest_stats, weather, flights_on_request],
    description="All 31 features of the flights project",
)
