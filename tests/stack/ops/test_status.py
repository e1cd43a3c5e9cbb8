import http.server
import threading
from collections.abc import Callable
from contextlib import contextmanager

from stack.ops import status
from stack.ops.compose_file import Health, Service
from tests.polling import PATIENCE_SECONDS


@contextmanager
def serving(before_answer: Callable[[], object] = lambda: None):
    """A server that does something before it answers."""

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            before_answer()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"fine")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def service(name: str, *probe: str, timeout: float = 2.0) -> Service:
    check = Health(probe, interval=1, timeout=timeout, retries=3, start_period=5) if probe else None
    return Service(name, ("true",), {}, check, needs=(), uses=(), ports=(), grace=1, once=False)


def test_asks_each_service_its_own_question():
    with serving() as url:
        problems = status.problems(
            [service("good", url, "--find", "fine"), service("odd", url, "--find", "splendid"), service("silent")]
        )

    assert problems["good"] is None and problems["silent"] is None
    assert problems["odd"] == "the answer lacks splendid: fine"


def test_services_are_asked_at_the_same_time():
    all_are_asked = threading.Barrier(3)
    with serving(all_are_asked.wait) as url:
        problems = status.problems([service(name, url, timeout=PATIENCE_SECONDS) for name in ("one", "two", "three")])

    assert problems == {"one": None, "two": None, "three": None}


def test_a_service_that_hangs_is_not_healthy():
    over = threading.Event()
    with serving(over.wait) as url:
        problems = status.problems([service("slow", url, timeout=0.2)])
        over.set()

    assert "timed out" in problems["slow"]


def test_a_service_has_its_start_period_and_then_its_retries():
    assert service("patient", "http://127.0.0.1:1").patience == 8


def test_nothing_to_ask_is_no_problem():
    assert status.problems([]) == {}
