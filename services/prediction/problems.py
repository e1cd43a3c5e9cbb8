"""Responses that answer nothing: each status, what it means and the shape of its body."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse


class Problem(BaseModel):
    """Why a request is not answered."""

    error: str


class FixableProblem(Problem):
    """Why a request is not answered, and what to do about it."""

    todo: str


class UnknownProject(Problem):
    """No such project is served; these are."""

    projects: list[str]


class Mistake(BaseModel):
    """A place in the body, what was found there and what was expected."""

    type: str
    loc: list[str | int]
    msg: str


class InvalidBody(Problem):
    """What is wrong with a body, or with the values in it."""

    detail: list[Mistake]


class InvalidValuesError(ValueError):
    """Values of a well-formed body cannot be used."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__(mistakes[0].msg)
        self.mistakes = mistakes


PROBLEMS: dict[int, tuple[str, Any]] = {
    400: ("The body or a value in it is wrong: the response says where", InvalidBody),
    401: ("A token is needed: the response says how to make one", FixableProblem),
    403: ("The token is for another project or purpose", FixableProblem),
    404: ("The project is no longer served", UnknownProject),
    413: ("The body is too large", Problem),
    415: ("The content type is refused", list[Problem]),
    500: ("The model, the feature store or the prediction log failed", Problem),
    503: ("No champion is loaded, or project.yaml is wrong: the response says what to do", FixableProblem),
    504: ("There was no answer within the time limit", Problem),
}


def mistake(where: list[str | int], found: object, expected: str) -> Mistake:
    """Return a mistake in the value at a place of the body."""
    return Mistake(type="value_error", loc=where, msg=f"found {found}, expected {expected}")


def invalid(mistakes: list[Mistake]) -> JSONResponse:
    """Return the response to a well-formed body whose values cannot be used."""
    body = InvalidBody(error=f"{len(mistakes)} values cannot be used", detail=mistakes)
    return JSONResponse(body.model_dump(), 400)
