"""The service of a Bento: ``POST /<project>/predict`` as the stack answers it, with no feature store and no log.

Features that the stack reads from its online store are optional fields of a row here; one that is not given is missing.
"""

from typing import Any
from uuid import uuid4

import bentoml

from services.prediction import _compat
from services.prediction.schema import Answer, Row, answer_model, new_values, request_model
from stack.core.settings import ROOT, settings
from stack.project import contract
from stack.specification import specs
from stack.specification.request import RequestField
from stack.specification.specs import ProjectSpec
from stack.takeaway.portable import PortableModel

MODEL = ROOT / "model"
"""Beside the code of the Bento: the served form, and ``version``."""


def build(spec: ProjectSpec, model: PortableModel, version: str) -> bentoml.Service[Any]:
    """Return the service of a project's model."""
    request, response = request_model(with_stored(spec, model.stored)), answer_model(spec)

    async def predict(self: Any, rows: list[Any]) -> Any:
        replies = model.predict([_given(row, [*model.fields, *model.stored]) for row in rows])
        return [_answer(spec, model, response, version, *pair) for pair in zip(rows, replies, strict=True)]

    name = f"predict_{spec.name}"
    endpoint = _compat.api(f"/{spec.name}/predict", name, spec.title, request, list[response])(predict)  # type: ignore[valid-type]
    members = {"__doc__": spec.title, "__module__": __name__, name: endpoint}
    return bentoml.service(name=spec.name, workers=1)(type("Predictions", (), members))


def with_stored(spec: ProjectSpec, stored: list[str]) -> ProjectSpec:
    """Return the project with its stored features as optional request fields."""
    types: dict[str, Any] = {"number": "number", "category": "string", "text": "text"}
    text = "Stored feature; missing when left out"
    more = {
        name: RequestField(type=types[spec.features.columns[name]], description=text, example=None, nullable=True)
        for name in stored
    }
    return spec.model_copy(update={"request": spec.request | more})


def _given(row: Row, names: list[str]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _answer(
    spec: ProjectSpec, model: PortableModel, response: type[Answer], version: str, row: Row, reply: dict[str, Any]
) -> Answer:
    absent = sum(getattr(row, name) is None for name in model.stored)
    missing = [f"{absent} of {len(model.stored)} stored features were not given"] if absent else []
    return response.model_construct(
        **reply,
        model_version=version,
        prediction_id=str(row.prediction_id or uuid4()),
        features_at=None,
        warnings=new_values(spec, [row.model_dump()])[0] + missing,
    )


def packaged_spec() -> ProjectSpec:
    """Return the one project of a Bento; an example is known here without the package of its data."""
    (path,) = settings().projects.glob(specs.YAML)
    return specs.read(path)


def packaged_service() -> bentoml.Service[Any]:
    """Return the service of the one project of a Bento."""
    spec = packaged_spec()
    on_request = None if spec.forecast else contract.on_request(spec.name)
    return build(spec, PortableModel(MODEL, on_request), (MODEL / "version").read_text())


if (MODEL / "version").exists():
    Predictions = packaged_service()
