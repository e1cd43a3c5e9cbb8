"""Every service answers at /metrics with its requests, their time and what its process takes."""

from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from services.measured import Measured


def values(text):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def client(own_page=False):
    routes = [Route("/metrics", lambda _: PlainTextResponse("its own")), Route("/", lambda _: PlainTextResponse("ok"))]
    return TestClient(Measured(Starlette(routes=routes), own_page))


def test_requests_are_counted_by_status_and_those_for_the_metrics_are_not():
    asked = client()
    before = values(asked.get("/metrics").text)
    for path in ("/", "/", "/nowhere"):
        asked.get(path)
    after = values(asked.get("/metrics").text)

    def grown(*key):
        return after[key] - before.get(key, 0)

    assert grown("http_requests_total", "200") == 2 and grown("http_requests_total", "404") == 1
    assert grown("http_request_seconds_count") == 3
    assert after["process_resident_memory_bytes",] > 2**20


def test_a_service_with_metrics_of_its_own_answers_itself():
    assert client(own_page=True).get("/metrics").text == "its own"
