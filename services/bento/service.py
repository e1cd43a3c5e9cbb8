"""The service of a Bento: ``POST /<project>/predict`` as the stack answers it, with no feature store and no log.

Features that the stack reads from its online store are optional fields of a row here; one that is not given is missing.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

import bentoml
from bentoml.validators import ContentType

from services.prediction.schema import Answer, Row, answer_model, new_values, request_model
from stack.core.settings import ROOT
from stack.project import contract
from stack.specification import specs, yaml_errors
from stack.specification.specs import ProjectSpec, RequestField
from stack.takeaway.portable import PortableModel

MODEL = ROOT / "model"
"""Beside the code of the Bento: the served form, and ``version``."""


def build(spec: ProjectSpec, model: PortableModel, version: str) -> bentoml.Service[Any]:
    """Make the service of a project's model."""
    taken, answered = request_model(with_stored(spec, model.stored)), answer_model(spec)

    async def predict(self: Any, rows: list[Any]) -> Any:
        replies = model.predict([_given(row, [*model.fields, *model.stored]) for row in rows])
        return [_answer(spec, model, answered, version, *pair) for pair in zip(rows, replies, strict=True)]

    predict.__name__, predict.__doc__ = f"predict_{spec.name}", spec.title
    predict.__annotations__["return"] = Annotated[list[answered], ContentType("application/json")]  # type: ignore[valid-type]
    route = bentoml.api(route=f"/{spec.name}/predict", input_spec=taken)(predict)
    members = {"__doc__": spec.title, "__module__": __name__, predict.__name__: route}
    return bentoml.service(name=spec.name, workers=1)(type("Predictions", (), members))


def with_stored(spec: ProjectSpec, stored: list[str]) -> ProjectSpec:
    """The project with its stored features as fields that a request may have."""
    types: dict[str, Any] = {"number": "number", "category": "string"}
    text = "Stored feature; missing when left out"
    more = {
        name: RequestField(type=types[spec.features.columns[name]], description=text, example=None, nullable=True)
        for name in stored
    }
    return spec.model_copy(update={"request": spec.request | more})


def _given(row: Row, names: list[str]) -> dict[str, Any]:
    found = {name: getattr(row, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _answer(
    spec: ProjectSpec, model: PortableModel, answered: type[Answer], version: str, row: Row, reply: dict[str, Any]
) -> Answer:
    absent = sum(getattr(row, name) is None for name in model.stored)
    lacking = [f"{absent} of {len(model.stored)} stored features were not given"] if absent else []
    return answered.model_construct(
        **reply,
        model_version=version,
        prediction_id=str(row.prediction_id or uuid4()),
        features_at=None,
        warnings=[*new_values(spec, row.model_dump()), *lacking],
    )


def held() -> ProjectSpec:
    """The one project that a Bento holds; an example is known here without the package of its data."""
    (path,) = specs.PROJECTS.glob(specs.YAML)
    return specs.parse(yaml_errors.read(path), path)


def packed() -> bentoml.Service[Any]:
    """The service of the one project that a Bento holds."""
    spec = held()
    on_request = contract.on_request(spec.name)
    return build(spec, PortableModel(MODEL, on_request), (MODEL / "version").read_text())


if (MODEL / "version").exists():
    Predictions = packed()
