"""The reaches into BentoML still exist in the installed version."""

import asyncio
import inspect
import logging

import bentoml
import pytest
from pydantic import BaseModel

from services.prediction import _compat
from services.prediction.schema import request_model
from stack.specification import specs

CHANGED = f"bentoml {bentoml.__version__} has changed; see services/prediction/_compat.py"


class Reply(BaseModel):
    value: float


@pytest.fixture(scope="module")
def service():
    async def predict(self, rows: list):
        return Reply(value=1)

    endpoint = _compat.api("/any/predict", "predict_any", "A title", request_model(specs.load("flights")), Reply)(
        predict
    )
    return bentoml.service(name="any", workers=1)(type("Any", (), {"predict_any": endpoint}))


def test_endpoint_has_the_types_made_at_run_time(service):
    method = service.apis["predict_any"]
    assert (method.route, method.output_spec.media_type) == ("/any/predict", "application/json"), CHANGED
    assert "value" in str(method.output_spec.model_json_schema()), CHANGED


def test_lifespan_creates_and_removes_the_instance(service):
    async def enter():
        async with _compat.lifespan(service.to_asgi()):
            pass

    asyncio.run(enter())


def test_swagger_ui_is_installed():
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-light-32x32.png"):
        assert (_compat.swagger_ui() / name).is_file(), CHANGED


def test_http_application_logs_under_this_name():
    from bentoml._internal.server import http_app

    assert http_app.__name__ == _compat.HTTP_LOGGER, CHANGED
    assert isinstance(logging.getLogger(_compat.HTTP_LOGGER), logging.Logger)


def test_output_spec_still_takes_no_content_type():
    assert "content_type" not in inspect.signature(bentoml.api).parameters, f"{CHANGED}: use the public parameter"
