"""Reaches into BentoML and Python's import system, each with its reason."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, cast

import bentoml
from bentoml.exceptions import BentoMLException
from bentoml.validators import ContentType
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.responses import Response

JSON = "application/json"
HTTP_LOGGER = "bentoml._internal.server.http_app"


def drop_client_errors() -> None:
    """Filter errors of the caller out of the log of BentoML's HTTP application.

    Tool: BentoML
    Reach: logging.getLogger("bentoml._internal.server.http_app")
    Why: BentoML logs a traceback for each refused request; no setting turns that off.
    Upstream: none known
    """
    logging.getLogger(HTTP_LOGGER).addFilter(is_server_error)


def is_server_error(record: logging.LogRecord) -> bool:
    """Return whether a log record is not about an error of the caller."""
    error = record.exc_info[1] if record.exc_info else None
    refused = isinstance(error, BentoMLException) and error.error_code.value < 500
    return not (refused or isinstance(error, ValidationError))


def swagger_ui() -> Path:
    """Return the folder of Swagger UI's files that BentoML installs.

    Tool: BentoML
    Reach: bentoml/_internal/server/static_content
    Why: BentoML's own page loads scripts and badges from elsewhere; ours needs the same files without them.
    Upstream: none known
    """
    return Path(bentoml.__file__).parent / "_internal" / "server" / "static_content"


def api(path: str, name: str, doc: str, request: type[Any], response: Any) -> Callable[[Any], Any]:
    """Return a decorator that makes a method the API endpoint ``POST <path>``, typed at run time.

    Tool: BentoML
    Reach: bentoml.api (output type read from __annotations__, signature from __signature__)
    Why: The types are made from project.yaml, so no annotation can name them. Without a content type BentoML derives it
        from the JSON schema of the response at each request: 1.4 ms. `output_spec` takes no content type. It asks for
        the signature at each request, too: 0.04 ms without one that is kept. It makes Python objects of a response
        twice before it writes them: 4 ms of 1,000 answers instead of 1.
    Upstream: none known
    """

    def decorate(work: Any) -> Any:
        work.__name__, work.__doc__ = name, doc
        work.__annotations__["return"] = Annotated[response, ContentType(JSON)]

        @wraps(work)
        async def answer(*args: Any, **values: Any) -> Any:
            content = await work(*args, **values)
            return content if isinstance(content, Response) else Response(to_json(content), media_type=JSON)

        vars(answer)["__signature__"] = signature(work)
        return bentoml.api(route=path, input_spec=request)(answer)

    return decorate


def lifespan(app: Any) -> AbstractAsyncContextManager[Any]:
    """Return the context in which BentoML's application has its service instance.

    Tool: BentoML
    Reach: bentoml.Service.to_asgi().router.lifespan_context
    Why: Projects start and stop while the server runs; uvicorn drives the lifespan of one application only.
    Upstream: none known
    """
    return cast(AbstractAsyncContextManager[Any], app.router.lifespan_context(app))


@contextmanager
def reimported(package: str) -> Iterator[None]:
    """Import the modules of a package anew inside the context; restore the old ones if it raises.

    Tool: Python
    Reach: sys.modules
    Why: A project's functions are reloaded with its features, and Feast looks them up by module name at each read.
    Upstream: none known
    """
    modules = {name: sys.modules.pop(name) for name in [*sys.modules] if name.startswith(f"{package}.")}
    try:
        yield
    except Exception:
        sys.modules.update(modules)
        raise
