"""Statistics that Home Assistant writes down late, as it did not run at the end of their hour, are not lost."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest
from websockets.sync.server import serve

from stack.core.errors import UnavailableError
from stack.sources import Query, home_assistant
from tests.stack.sources.conftest import declared

NOON, HOUR = datetime(2025, 3, 1, 12, tzinfo=UTC), timedelta(hours=1)
POWER, OUTDOOR = "sensor.power", "sensor.outdoor"


class Recorder:
    """Answers as Home Assistant does over its WebSocket: with the hours that it has written down, sensor by sensor."""

    def __init__(self) -> None:
        self.hours = {POWER: {}, OUTDOOR: {}}
        self.states = {POWER: "230.5", OUTDOOR: "unavailable", "sensor.clock": "12:00"}

    def write(self, sensor: str, *hours: int) -> None:
        self.hours[sensor] |= {hour: 100.0 + hour for hour in hours}

    def answer(self, command: dict) -> object:
        if command["type"] == "get_config":
            return {"state": "RUNNING"}
        if command["type"] == "recorder/list_statistic_ids":
            return [{"statistic_id": sensor, "has_sum": False} for sensor in self.hours]
        if command["type"] == "get_states":
            attributes = {"state_class": "measurement"}
            return [
                {"entity_id": name, "state": state, "attributes": attributes} for name, state in self.states.items()
            ]
        since, until = (datetime.fromisoformat(command[name]) for name in ("start_time", "end_time"))
        found = {}
        for sensor in command["statistic_ids"]:
            instants = {NOON + hour * HOUR: mean for hour, mean in sorted(self.hours[sensor].items())}
            rows = [
                {"start": at.timestamp() * 1000, "mean": mean} for at, mean in instants.items() if since <= at < until
            ]
            found |= {sensor: rows} if rows else {}
        return found

    def talk(self, connection) -> None:
        connection.send(json.dumps({"type": "auth_required"}))
        connection.recv()
        connection.send(json.dumps({"type": "auth_ok"}))
        for message in connection:
            command = json.loads(message)
            connection.send(json.dumps({"id": command["id"], "success": True, "result": self.answer(command)}))

    @contextmanager
    def serving(self):
        with serve(self.talk, "127.0.0.1", 0) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.socket.getsockname()[1]}"
            server.shutdown()


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def read(recorder, tmp_path, env):
    env(HA_TOKEN="a-token")
    with recorder.serving() as url:
        section = {"kind": "home_assistant", "url": url, "token": "${HA_TOKEN}", "sensors": {"outdoor": OUTDOOR}}

        def hours(since: int, until: int, *, once: bool = True) -> list[int]:
            """Read what was known twenty minutes past these hours."""
            window = (NOON + hour * HOUR + timedelta(minutes=20) for hour in (since, until))
            rows = home_assistant.read(
                declared(section), tmp_path, Query(["time", "outdoor"], "time", *window, once=once)
            )
            return [round((at - NOON) / HOUR) for at in rows["time"]]

        yield hours


def test_an_hour_that_is_written_late_is_read_at_the_next_tick(recorder, read):
    recorder.write(OUTDOOR, 0, 1)
    recorder.write(POWER, 0, 1)
    assert read(0, 2) == [0, 1]
    with pytest.raises(UnavailableError, match="has not written down its statistics of 2025-03-01 14:00 UTC yet"):
        read(2, 3)  # it has just started, and wrote nothing down of the hour in which it did not run
    recorder.write(OUTDOOR, 2)
    recorder.write(POWER, 2, 3)
    assert read(2, 4) == [2]  # the sensor outdoors is away since, that of power is not


def test_hours_without_any_sensor_that_measures_are_passed_over(recorder, read):
    recorder.states[POWER] = "unknown"
    assert read(0, 3) == []


def test_what_is_asked_about_later_does_not_wait(recorder, read):
    recorder.write(OUTDOOR, 0)
    assert read(0, 30, once=False) == [0]
