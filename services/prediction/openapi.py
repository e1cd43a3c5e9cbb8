"""The OpenAPI document of the served projects: what may be asked, and every status and body that may come back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import TypeAdapter

from services.prediction import access
from services.prediction.problems import PROBLEMS
from services.prediction.service import ProjectService

ABOUT = "Two routes for each project. Answers are in the prediction log before they are sent."


def openapi(services: Mapping[str, ProjectService]) -> dict[str, Any]:
    """Return one OpenAPI document of all projects."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}

    def content(kind: Any, mode: Literal["validation", "serialization"] = "serialization") -> dict[str, Any]:
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        return {"application/json": {"schema": schema}}

    for name, running in sorted(services.items()):
        for verb, endpoint in running.endpoints.items():
            responses = {200: ("The answer", endpoint.response)} | PROBLEMS
            operation = {
                "tags": [name],
                "operationId": f"{verb}_{name}",
                "summary": endpoint.title,
                "security": access.OPTIONAL,
                "requestBody": {"required": True, "content": content(endpoint.request, "validation")},
                "responses": {
                    str(status): {"description": text, "content": content(kind)}
                    for status, (text, kind) in responses.items()
                },
            }
            paths[f"/{name}/{verb}"] = {"post": operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Predictions", "version": "1", "description": ABOUT},
        "tags": [{"name": name, "description": running.models.spec.title} for name, running in services.items()],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": access.SCHEMES},
    }
