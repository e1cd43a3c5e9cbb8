"""Features of the titanic project: all follow from the request."""

from feast import FeatureService, Field, RequestSource
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Float64, Int64, String

person = RequestSource(
    name="titanic_person",
    schema=[Field(name=name, dtype=Int64) for name in ("pclass", "sibsp", "parch")]
    + [Field(name=name, dtype=Float64) for name in ("age", "fare")]
    + [Field(name=name, dtype=String) for name in ("sex", "embarked", "crew")],
)


@on_demand_feature_view(  # type: ignore[untyped-decorator]  # Feast ships no types
    sources=[person],
    schema=[Field(name=name, dtype=Float64) for name in ("age", "fare", "sibsp", "parch")]
    + [Field(name=name, dtype=String) for name in ("sex", "rank", "embarked")],
    mode="python",
)
def titanic_on_request(columns: dict[str, list[object]]) -> dict[str, list[object]]:
    """Features of the request; Feast stores this source text, so it imports what it needs."""
    from projects.titanic.features import on_request

    return on_request(columns)


titanic_v1 = FeatureService(
    name="titanic_v1", features=[titanic_on_request], description="All 7 features of the titanic project"
)
