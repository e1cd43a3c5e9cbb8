"""Features of the housing project: all follow from the request."""

from feast import FeatureService, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

from projects.housing.source import REQUEST

tract = RequestSource(
    name="housing_tract",
    schema=[Field(name=name, dtype=Int64 if name in ("chas", "rad") else Float64) for name in REQUEST],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]  # Feast ships no types
    sources=[tract],
    schema=[Field(name=name, dtype=Float64) for name in REQUEST],
    mode="python",
)
def housing_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """Features of the request; Feast stores this source text, so it imports what it needs."""
    from projects.housing.features import on_request

    return on_request(columns)


housing_v1 = FeatureService(
    name="housing_v1", features=[housing_on_request], description="All 12 features of the housing project"
)
