"""The Feast definitions that follow from the features that project.yaml declares."""

from datetime import datetime, timedelta
from typing import Any, cast

import feast.types
from feast import Entity, FeatureService, FeatureView, Field, FileSource, OnDemandFeatureView, RequestSource, ValueType
from feast.data_format import ParquetFormat
from feast.transformation.python_transformation import PythonTransformation
from feast.types import Float32, Float64, Int64, String

from stack.core.settings import Settings
from stack.declared import features, forecast
from stack.project import contract
from stack.project.contract import RequestFeatures
from stack.specification import specs
from stack.specification.fields import Datetime
from stack.specification.request import RequestField
from stack.specification.specs import ProjectSpec

ON_REQUEST = """def {name}_on_request(columns):
    from stack.features.declared import values

    return values("{name}", columns, {samples}, {instants})
"""
"""Feast stores this source text, and executes it where the features are served."""


def definitions(settings: Settings, spec: ProjectSpec) -> list[Any]:
    """Return the entities, views and service of a project."""
    if spec.forecast:
        return _forecast(settings, spec)
    views: list[Any] = []
    entities = []
    for key in spec.features.entities:
        field = spec.request[key].field_type
        entity = Entity(name=f"{spec.name}_{key}", join_keys=[key], value_type=ValueType[field.entity])
        entities.append(entity)
        views.append(_past(settings, spec, key, entity))
    if asked := features.on_request(spec):
        views.append(_on_request(spec, {name: kind for name, (kind, _) in asked.items()}, []))
    return [*entities, *views, _service(spec, views)]


def _service(spec: ProjectSpec, views: list[Any]) -> FeatureService:
    description = f"All features of the {spec.name} project"
    return FeatureService(name=spec.features.service, features=views, description=description)


def _forecast(settings: Settings, spec: ProjectSpec) -> list[Any]:
    """Return the entities, views and service of a forecast."""
    entities = {
        key: Entity(name=f"{spec.name}_{key}", join_keys=[key], value_type=ValueType[_entity(spec, key)])
        for key in dict.fromkeys(name for keys in forecast.join_keys(spec).values() for name in keys)
    }
    exact = Field(name=forecast.last_at(spec), dtype=Float64)
    views = []
    for kind, name in forecast.views(spec).items():
        keys = forecast.join_keys(spec)[kind]
        columns = [Field(name=column, dtype=Float32) for column in forecast.schema(spec)[kind]]
        typed = [Field(name=key, dtype=_type(spec.request[key]) if key in spec.request else Int64) for key in keys]
        views.append(
            FeatureView(
                name=name,
                entities=[entities[key] for key in keys],
                ttl=forecast.WEEKS,
                schema=[*typed, *columns, *([exact] if kind == "series" else [])],
                source=_source(settings, spec, name),
                description=f"Values of {spec.label} that were known before",
            )
        )
    views.append(_on_request(spec, forecast.on_request(spec), [*views]))
    return [*entities.values(), *views, _service(spec, views)]


def _entity(spec: ProjectSpec, key: str) -> str:
    return spec.request[key].field_type.entity if key in spec.request else "INT64"


def _source(settings: Settings, spec: ProjectSpec, view: str) -> FileSource:
    """Return the feature table of a view."""
    return FileSource(
        name=view,
        path=str(settings.feature_tables / spec.name / view),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    )


def without_module(settings: Settings) -> dict[str, Any]:
    """Return the definitions of the projects that have written none, each under a name for a module."""
    return {
        f"{type(item).__name__}_{item.name}": item
        for spec in specs.load_valid(lambda _: None)
        if spec.columns and not (settings.definitions / f"{spec.name}.py").is_file()
        for item in definitions(settings, spec)
    }


def values(
    project: str, columns: dict[str, list[Any]], samples: dict[str, Any], instants: list[str]
) -> dict[str, list[Any]]:
    """Return the features of requests; called by the function of a project's on-demand view.

    Args:
        samples: a value of each key; Feast tries a definition out with the fields of its request source alone.
        instants: fields that hold one; Feast's HTTP server passes on what is in the JSON, text.
    """
    count = len(next(iter(columns.values())))
    given = {key: [value] * count for key, value in samples.items()} | columns
    for name in instants:
        given[name] = [datetime.fromisoformat(at) if isinstance(at, str) else at for at in given[name]]
    function = cast(RequestFeatures, contract.features(project)).on_request
    return dict(function(given))


def _past(settings: Settings, spec: ProjectSpec, key: str, entity: Entity) -> FeatureView:
    name = features.view(spec, key)
    own = {column: past for column, past in features.pasts(spec).items() if past.key == key}
    _, hours = features.tick_of(own)
    return FeatureView(
        name=name,
        entities=[entity],
        ttl=timedelta(hours=2 * hours),
        schema=[
            Field(name=key, dtype=_type(spec.request[key])),
            *(Field(name=column, dtype=Float32) for column in own),
        ],
        source=_source(settings, spec, name),
        description=f"Means over the rows of a {key} that were known before",
    )


def _on_request(spec: ProjectSpec, asked: dict[str, str], stored: list[FeatureView]) -> OnDemandFeatureView:
    fields = {name: field for name, field in spec.request.items() if name not in spec.features.entities}
    request = RequestSource(
        name=f"{spec.name}_request", schema=[Field(name=name, dtype=_type(field)) for name, field in fields.items()]
    )
    samples = {key: spec.request[key].field_type.sample for key in spec.features.entities}
    instants = [name for name, field in spec.request.items() if field.type == Datetime.name]
    text = ON_REQUEST.format(name=spec.name, samples=samples, instants=instants)
    scope: dict[str, Any] = {}
    exec(text, scope)  # noqa: S102  # the text above, with the name of a project
    kinds = {"number": Float64, "category": String, "text": String}
    return OnDemandFeatureView(
        name=f"{spec.name}_on_request",
        sources=[*stored, request],
        schema=[Field(name=name, dtype=kinds[kind]) for name, kind in asked.items()],
        feature_transformation=PythonTransformation(udf=scope[f"{spec.name}_on_request"], udf_string=text),
        mode="python",
    )


def _type(field: RequestField) -> Any:
    return getattr(feast.types, field.field_type.feast)
