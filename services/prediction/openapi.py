"""The OpenAPI document of the served projects: what may be asked, and every status and body that may come back."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field, TypeAdapter
from starlette.responses import JSONResponse

from services.prediction import access

ABOUT = "Routes of each project. Answers are in the prediction log, and rows on the disk, before they are acknowledged."


class Endpoint(NamedTuple):
    """What ``POST /<project>/<verb>`` does."""

    work: Any
    title: str
    request: Any
    response: Any


class Mistake(BaseModel):
    """A place in the body, what was found there and what was expected."""

    type: str
    loc: list[str | int]
    msg: str


class Problem(BaseModel):
    """Why a request is not answered."""

    error: str
    todo: str = Field("", description="What to do about it")
    detail: list[Mistake] = Field([], description="What is wrong in which place of the body")
    projects: list[str] = Field([], description="The projects that are served")


PROBLEMS: dict[int, tuple[str, Any]] = {
    400: ("The body or a value in it is wrong: the response says where", Problem),
    401: ("A token is needed: the response says how to make one", Problem),
    403: ("The token is for another project or purpose", Problem),
    404: ("The project is no longer served", Problem),
    409: ("Reasons were asked of a version that an early release has trained", Problem),
    413: ("The body is too large", Problem),
    415: ("The content type is refused", list[Problem]),
    500: ("The model, the feature store or the prediction log failed", Problem),
    503: ("No champion is loaded, or project.yaml is wrong: the response says what to do", Problem),
    504: ("There was no answer within the time limit", Problem),
}


def mistake(where: list[str | int], found: object, expected: str) -> Mistake:
    """Return a mistake in the value at a place of the body."""
    return Mistake(type="value_error", loc=where, msg=f"found {found}, expected {expected}")


def invalid(mistakes: list[Mistake]) -> JSONResponse:
    """Return the response to a well-formed body whose values cannot be used."""
    body = Problem(error=f"{len(mistakes)} values cannot be used", detail=mistakes)
    return JSONResponse(body.model_dump(exclude_defaults=True), 400)


def openapi(titles: Mapping[str, str], endpoints: Mapping[str, Mapping[str, Endpoint]]) -> dict[str, Any]:
    """Return one OpenAPI document of the endpoints of all projects, by project and verb."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {}

    def content(kind: Any, mode: Literal["validation", "serialization"] = "validation") -> dict[str, Any]:
        schema = TypeAdapter(kind).json_schema(mode=mode, ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        return {"application/json": {"schema": schema}}

    for name, verbs in sorted(endpoints.items()):
        for verb, endpoint in verbs.items():
            refusals = {
                str(status): {"description": text, "content": content(kind)}
                for status, (text, kind) in PROBLEMS.items()
            }
            answer = {"description": "The answer", "content": content(endpoint.response, "serialization")}
            operation = {
                "tags": [name],
                "operationId": f"{verb}_{name}",
                "summary": endpoint.title,
                "security": access.OPTIONAL,
                "requestBody": {"required": True, "content": content(endpoint.request)},
                "responses": {"200": answer} | refusals,
            }
            paths[f"/{name}/{verb}"] = {"post": operation}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Predictions", "version": "1", "description": ABOUT},
        "tags": [{"name": name, "description": title} for name, title in titles.items()],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": access.SCHEMES},
    }
