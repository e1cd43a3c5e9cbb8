"""Features of the insurance project: all follow from the request."""

from feast import FeatureService, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64

from projects.insurance.source import REQUEST

customer = RequestSource(
    name="insurance_customer",
    schema=[Field(name=name, dtype=Int64) for name in REQUEST],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]  # Feast ships no types
    sources=[customer],
    schema=[Field(name=name, dtype=Float64) for name in REQUEST],
    mode="python",
)
def insurance_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """Features of the request; Feast stores this source text, so it imports what it needs."""
    from projects.insurance.features import on_request

    return on_request(columns)


insurance_v1 = FeatureService(
    name="insurance_v1", features=[insurance_on_request], description="All 16 features of the insurance project"
)
