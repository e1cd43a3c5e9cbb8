"""Home Assistant itself is asked for statistics and history of sensors; see ``hass.py`` for how it is installed."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from stack.core.errors import StackError, UnavailableError
from stack.sources import AVAILABLE_AT, Query, home_assistant
from tests.polling import eventually
from tests.stack.sources.conftest import FIRST, LAST, declared, documented
from tests.stack.sources.hass import HomeAssistant
from tests.stack.sources.servers import web
from tests.stacks import free_ports

START = datetime(2023, 1, 1, tzinfo=UTC)
HOURS = 100 * 24
HOUR, SETTLED = timedelta(hours=1), timedelta(minutes=10)
COLUMNS = ["time", "end", "outdoor", "warmest", "energy"]
SENSORS = {"outdoor": "sensor.outdoor", "warmest": "sensor.outdoor max", "energy": "sensor.energy"}


@pytest.fixture(scope="module")
def hass(tmp_path_factory):
    with HomeAssistant(tmp_path_factory.mktemp("hass")) as server:
        warm = [{"mean": number % 24, "min": -1, "max": number % 24 + 0.5} for number in range(HOURS)]
        server.import_statistics("sensor.outdoor", START, warm, meter=False)
        counted = [{"state": number * 0.5, "sum": number * 0.5} for number in range(HOURS)]
        server.import_statistics("sensor.energy", START, counted, meter=True)
        for sensor in ("outdoor_temperature", "grid_power"):
            server.import_statistics(f"sensor.{sensor}", START, warm[:24], meter=False)
        server.import_statistics("sensor.energy_meter", START, counted[:24], meter=True)
        yield server


@pytest.fixture(scope="module")
def starting(tmp_path_factory):
    """A Home Assistant that answers, and is not ready before its slowest integration is."""
    folder = tmp_path_factory.mktemp("starting")
    slow = folder / "custom_components" / "slow"
    slow.mkdir(parents=True)
    manifest = {"domain": "slow", "name": "slow", "version": "1.0", "codeowners": [], "requirements": []}
    (slow / "manifest.json").write_text(json.dumps(manifest))
    (slow / "__init__.py").write_text("import asyncio\nasync def async_setup(*_):\n    await asyncio.sleep(600)\n")
    server = HomeAssistant(folder)
    with (folder / "configuration.yaml").open("a") as configuration:
        configuration.write("slow:\n")
    server.answers = lambda: server.api("GET", "config").is_success
    with server:
        yield server


@pytest.fixture
def section(hass, env):
    env(HA_TOKEN=hass.token)

    def keys(**keys):
        return {"kind": "home_assistant", "url": hass.url, "token": "${HA_TOKEN}", "sensors": SENSORS} | keys

    return keys


def test_statistics_are_read_with_means_and_what_meters_added(section, read):
    rows = read(section(), COLUMNS, "time")
    assert len(rows) == HOURS and list(rows) == [*COLUMNS, AVAILABLE_AT]
    assert list(rows["time"]) == list(pd.date_range(START, periods=HOURS, freq="h"))
    assert (rows["end"] - rows["time"] == HOUR).all() and (rows[AVAILABLE_AT] - rows["end"] == SETTLED).all()
    assert list(rows["outdoor"]) == [number % 24 for number in range(HOURS)]
    assert (rows["warmest"] == rows["outdoor"] + 0.5).all() and (rows["energy"][1:] == 0.5).all()


def test_the_page_from_home_assistant_is_as_it_is_said(hass, read, env):
    env(HOME_ASSISTANT_TOKEN=hass.token)
    (section,) = documented("from-home-assistant.md")
    rows = read(section | {"url": hass.url}, ["time", "end", "outdoor", "peak", "energy"], "time")
    assert len(rows) == 24 and (rows["peak"] == rows["outdoor"] + 0.5).all() and (rows["energy"][1:] == 0.5).all()


def test_any_windows_hold_each_hour_once(section, read):
    ends = [START + timedelta(minutes=minutes) for minutes in (0, 69, 70, 71, 130, 190, 500, 2000)]
    read_in = [list(read(section(), COLUMNS, "time", a, b)["time"]) for a, b in zip(ends, ends[1:], strict=False)]
    together = [time for window in read_in for time in window]
    assert together == list(read(section(), COLUMNS, "time", ends[0], ends[-1])["time"])
    assert [len(window) for window in read_in[:4]] == [0, 1, 0, 1]


def test_history_gives_means_of_numbers_and_the_last_of_other_states(hass, section, read):
    hass.set_state("sensor.power", "unavailable")
    hass.set_state("light.hall", "off")
    hass.set_state("sensor.power", 40)
    hass.set_state("light.hall", "on")
    sensors = {"power": "sensor.power", "hall": "light.hall"}
    keys = section(history=True, period="5minute", sensors=sensors)
    now = datetime.now(UTC)

    def latest():
        return read(keys, [*sensors], "time", now - HOUR, now + HOUR).to_dict("records")[-1:]

    eventually(lambda: [(row["power"], row["hall"]) for row in latest()] == [(40, "on")])


def test_an_ingest_waits_for_the_last_hour_while_sensors_measure(hass, section, env, tmp_path):
    hass.set_state("sensor.live", 20, state_class="measurement", unit_of_measurement="°C")
    first = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - 3 * HOUR
    window = first + SETTLED, first + 2 * HOUR + SETTLED
    keys = declared(section(sensors={"live": "sensor.live"}))

    def read():
        return home_assistant.read(keys, tmp_path, Query(["time", "live"], "time", *window, once=True))

    hass.import_statistics("sensor.live", first, [{"mean": 20}], meter=False)
    with pytest.raises(UnavailableError, match="has not written down its statistics"):
        read()
    hass.import_statistics("sensor.live", first, [{"mean": 20}, {"mean": 21}], meter=False)
    assert list(read()["live"]) == [20, 21]


def test_decades_without_history_are_passed_over(section, read):
    sensors = {"none": "sun.none"}
    with pytest.raises(StackError, match="no sensor sun.none"):
        read(section(history=True, sensors=sensors), ["none"], "time", FIRST, START)
    assert read(section(), COLUMNS, "time", FIRST, START - timedelta(days=40)).empty


@pytest.mark.parametrize(
    ("keys", "key", "message"),
    [
        ({"sensors": {"outdoor": "sensor.outdor"}}, "sensors.outdoor", "did you mean 'sensor.outdoor'"),
        ({"token": "${WRONG}"}, "token", "long-lived access token"),
        ({"token": "${NONE}"}, "token", "which .env does not define"),
        ({"history": True, "token": "${WRONG}", "sensors": {"outdoor": "sensor.outdoor"}}, "url", "source.token"),
        ({"url": "homeassistant.local"}, "url", "http://homeassistant.local:8123"),
    ],
)
def test_what_is_wrong_is_said(hass, section, env, read, keys, key, message):
    env(HA_TOKEN=hass.token, WRONG="wrong-token")
    with pytest.raises(StackError, match=message) as caught:
        read(section(**keys), ["outdoor"], "time")
    assert f"key source.{key}:" in str(caught.value) and not isinstance(caught.value, UnavailableError)
    assert hass.token not in str(caught.value) and "wrong-token" not in str(caught.value)


def test_another_server_is_no_home_assistant(section, read):
    with web() as server, pytest.raises(StackError, match="the address of Home Assistant"):
        read(section(url=server.url), ["outdoor"], "time")


@pytest.mark.parametrize("history", [False, True])
def test_one_that_is_away_may_come_back(section, read, history):
    keys = section(url=f"http://127.0.0.1:{free_ports(1)[0]}", history=history, sensors={"outdoor": "sensor.outdoor"})
    with pytest.raises(UnavailableError):
        read(keys, ["outdoor"], "time", START, LAST)


@pytest.mark.parametrize("history", [False, True])
def test_one_that_starts_is_away(starting, env, read, history):
    env(HA_TOKEN=starting.token)
    section = {"kind": "home_assistant", "url": starting.url, "token": "${HA_TOKEN}", "history": history}
    with pytest.raises(UnavailableError, match="is starting"):
        read(section | {"sensors": {"outdoor": "sensor.outdoor"}}, ["outdoor"], "time", START, LAST)


def test_means_are_over_the_time_that_a_state_was_known():
    edges = pd.date_range(START, periods=4, freq="h")
    changes = [("22:00", "10"), ("00:30", "20"), ("01:15", "unavailable"), ("01:45", "40"), ("02:30", "unknown")]
    instants = {"22:00": START - 2 * HOUR}
    changes = [
        {"state": state, "last_changed": (instants.get(at) or START + pd.Timedelta(f"{at}:00")).isoformat()}
        for at, state in changes
    ]
    assert list(home_assistant.in_periods(changes, edges)) == [15.0, 30.0, 40.0]
    assert home_assistant.in_periods([], edges).isna().all()
