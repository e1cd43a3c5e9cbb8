"""A run is followed line by line: each once, those of the runs that it starts too, without reading all anew."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import pytest

from stack.core.settings import Settings
from stack.ops import prefect_api
from stack.ops.runs import FINISHED, LATE, PAGE, Runs

START = datetime(2024, 1, 1, tzinfo=UTC)


class Server:
    """Prefect's API: a run that starts another, and writes `batches` of lines, one more at each look; then it ends."""

    def __init__(self, *batches: int) -> None:
        self.batches, self.looks, self.questions = batches, 0, list[Any]()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        if path == "flow_runs/filter":
            known = body["flow_runs"]["id"]["not_any_"]
            return [{"id": "child", "flow_id": "train"}] if self.looks > 2 and "child" not in known else []
        if path == "logs/filter":
            self.questions.append(body)
            return self.lines(body)[body.get("offset", 0) :][: body["limit"]]
        if path.startswith("flows/"):
            return {"name": path.removeprefix("flows/")}
        self.looks += 1
        state = "RUNNING" if self.looks <= len(self.batches) else "COMPLETED"
        return {"flow_id": "pipeline", "state": {"type": state, "message": ""}}

    def lines(self, body: Any) -> list[Any]:
        since = body["logs"].get("timestamp", {}).get("after_", START.isoformat())
        count, runs = sum(self.batches[: self.looks - 1]), body["logs"]["flow_run_id"]["any_"]
        stamps = [(START + timedelta(seconds=30 * at)).isoformat() for at in range(count)]
        return [
            {"id": str(at), "level": 20, "name": "x", "message": f"line {at}", "task_run_id": None}
            | {"timestamp": stamp, "flow_run_id": runs[-1]}
            for at, stamp in enumerate(stamps)
            if stamp >= since
        ]


@pytest.fixture
def follow(tmp_path, monkeypatch):
    def lines_of(server: Server) -> list[str]:
        followed, lines = Runs(Settings(home=tmp_path)), list[str]()
        monkeypatch.setattr(followed, "_call", server.call)
        assert followed.follow("run", lines.append, pause=0).good
        return lines

    return lines_of


def test_each_line_is_reported_once_with_the_flow_of_its_run(follow):
    lines = follow(Server(2, 3, 2))
    assert [line.split()[-1] for line in lines] == [str(at) for at in range(7)]
    assert {line.split()[1] for line in lines} == {"pipeline", "train"}


def test_only_the_last_lines_are_read_again(follow):
    server = Server(10, 10)
    follow(server)
    last = server.questions[-1]["logs"]["timestamp"]["after_"]
    assert datetime.fromisoformat(last) == START + timedelta(seconds=9 * 30) - LATE


def test_a_long_log_is_read_page_by_page(follow):
    assert len(follow(Server(2 * PAGE + 1, 1))) == 2 * PAGE + 2


def test_a_task_that_prefect_has_not_written_down_yet_ends_with_its_line(follow, monkeypatch):
    server = Server(2)
    lines, call = server.lines, server.call
    ended = {"message": FINISHED, "task_run_id": "of-fetch"}
    monkeypatch.setattr(server, "lines", lambda body: [line | ended for line in lines(body)])
    tasks = iter([None, {"name": "bring_online-1a2"}])
    monkeypatch.setattr(server, "call", lambda *a: next(tasks) if a[1] == "task_runs/of-fetch" else call(*a))
    assert [line.split(maxsplit=2)[2] for line in follow(server)] == [FINISHED, "bring online done"]


def test_the_end_of_a_log_is_not_waited_for_once_it_is_there(tmp_path, monkeypatch):
    server, followed, lines = Server(), Runs(Settings(home=tmp_path)), list[str]()
    last = {"message": "Finished in state Completed()", "task_run_id": None, "level": 20, "name": "prefect.flow_runs"}
    monkeypatch.setattr(
        server, "lines", lambda _: [last | {"id": "1", "flow_run_id": "run", "timestamp": START.isoformat()}]
    )
    monkeypatch.setattr(followed, "_call", server.call)
    monkeypatch.setattr("stack.core.wait.time.sleep", lambda _: pytest.fail("it waits"))

    assert followed.follow("run", lines.append, pause=60).good
    assert len(lines) == 1


def test_a_busy_server_is_asked_again_and_starts_one_run(tmp_path, monkeypatch):
    asked, over = list[Any](), Event()

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # noqa: N802
            self.answer({"id": "deployment"})

        def do_POST(self) -> None:  # noqa: N802
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if len(asked) == 1:
                over.wait()
            self.answer({"id": "run"})

        def answer(self, body: Any) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(prefect_api, "TIMEOUT_SECONDS", 0.2)
        settings = Settings(home=tmp_path, prefect_url=f"http://127.0.0.1:{server.server_port}")
        assert Runs(settings).start("train", "toy", {}) == "run"
        over.set()
        server.shutdown()
    assert len(asked) == 2 and asked[0]["idempotency_key"] == asked[1]["idempotency_key"]
