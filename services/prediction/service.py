"""The prediction service: one typed BentoML route a project, ``POST /<project>/predict``."""

from __future__ import annotations

import logging
from functools import partial
from typing import Annotated, Any

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.validators import ContentType
from pydantic import ValidationError

from services.prediction.answers import answer
from services.prediction.batches import Batches
from services.prediction.champions import Champions, Seat
from services.prediction.front import Front, pages
from services.prediction.schema import MAX_ROWS, Answer, Row, request_model
from stack import project
from stack.project import ProjectSpec
from stack.settings import Settings, settings

logger = logging.getLogger("stack.prediction")


def build(settings: Settings, specs: list[ProjectSpec], broken: dict[str, str]) -> bentoml.Service[Any]:
    """Make the service of these projects.

    Args:
        settings: the stack.
        specs: the projects to serve.
        broken: name -> what is wrong, of the projects that are left out.
    """
    champions = Champions(settings, specs)
    members = {"__doc__": __doc__, "__module__": __name__, "begin": _begin(champions), "end": _end(champions)}
    for seat in champions.seats.values():
        members[f"predict_{seat.spec.name}"] = _route(settings, seat)
    service = bentoml.service(
        name="predictions",
        workers=1,
        traffic={"timeout": 30},
        # Replaced by ours: BentoML's label requests with any path a caller thinks of, and log each one.
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
        tracing={"excluded_urls": ".*"},
    )(type("Predictions", (), members))
    service.add_asgi_middleware(Front, champions=champions, broken=broken)
    service.mount_asgi_app(pages(service), path="/", name="pages")
    return service


def _route(settings: Settings, seat: Seat) -> Any:
    """Make the route of a project. Rows of concurrent requests are answered as one batch, in one thread."""
    spec = seat.spec
    batches: Batches[Row, Answer] = Batches(partial(answer, settings, seat), most=MAX_ROWS)

    async def predict(self: Any, rows: list[Any]) -> list[Answer]:
        return await batches.answer(rows)

    # Without a content type BentoML derives it from the answer's JSON schema at each request: 1.4 ms.
    predict.__annotations__["return"] = Annotated[list[seat.answer], ContentType("application/json")]  # type: ignore[name-defined]
    predict.__name__ = f"predict_{spec.name}"
    predict.__doc__ = spec.title
    return bentoml.api(route=f"/{spec.name}/predict", input_spec=request_model(spec))(predict)


def _begin(champions: Champions) -> Any:
    def begin(self: Any) -> None:
        logging.getLogger("bentoml._internal.server.http_app").addFilter(_is_ours)
        champions.start()

    return bentoml.on_startup(begin)


def _end(champions: Champions) -> Any:
    def end(self: Any) -> None:
        champions.stop()

    return bentoml.on_shutdown(end)


def _is_ours(record: logging.LogRecord) -> bool:
    """Leave the caller's mistakes out of the log: BentoML writes a traceback for each."""
    error = record.exc_info[1] if record.exc_info else None
    refused = isinstance(error, BentoMLException) and error.error_code.value < 500
    return not (refused or isinstance(error, ValidationError))


def served() -> tuple[list[ProjectSpec], dict[str, str]]:
    """Read the projects; one that is wrong is left out, with the reason."""
    specs: list[ProjectSpec] = []
    broken: dict[str, str] = {}
    for name in project.names():
        try:
            spec = project.load(name)
            request_model(spec)
            specs.append(spec)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with one project, the others are served
            broken[name] = str(error)
            logger.error("%s is left out: %s", name, error)
    return specs, broken


Predictions = build(settings(), *served())
