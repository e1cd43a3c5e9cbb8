"""InfluxDB 1 itself is asked; of version 2, which Debian has not, a server that answers as its documentation says.

The answers of version 2 are annotated CSV without annotations, the rows of each schema with a header of their own:
https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/
"""

from datetime import UTC, datetime, timedelta

import httpx
import pandas as pd
import pytest

from stack.core.errors import StackError, UnavailableError
from tests.stack.sources.processes import Server, installed
from tests.stack.sources.servers import web
from tests.stacks import free_ports

START = datetime(2024, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROWS = 25_000
COLUMNS = ["time", "value", "room"]
CONFIGURATION = """
bind-address = "127.0.0.1:{backup}"
reporting-disabled = true
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
[http]
bind-address = "127.0.0.1:{port}"
auth-enabled = true
log-enabled = false
"""


class Influx(Server):
    """InfluxDB 1, whose user `me` has a password, once there is one."""

    login = {}

    def __init__(self, folder):
        program = installed("influxd")
        port, backup = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        (folder / "influx.conf").write_text(CONFIGURATION.format(port=port, backup=backup, folder=folder))
        super().__init__([program, "run", "-config", folder / "influx.conf"], self._answers)

    def _answers(self):
        return httpx.get(f"{self.url}/ping").is_success

    def ask(self, statement):
        httpx.post(f"{self.url}/query", data={"q": statement}, params=self.login).raise_for_status()


@pytest.fixture(scope="module")
def influx(tmp_path_factory):
    with Influx(tmp_path_factory.mktemp("influx")) as server:
        server.ask("CREATE USER me WITH PASSWORD 'very-secret' WITH ALL PRIVILEGES")
        server.login = {"u": "me", "p": "very-secret"}
        server.ask('CREATE DATABASE "home"')
        at = int(START.timestamp())
        lines = [f"°C,room=ha\\ ll value={number} {at + 60 * number}" for number in range(ROWS)]
        lines += [f"°C,room=loft value=-1,humidity=50 {at + 60 * number}" for number in range(10)]
        words = {"params": {"db": "home", "precision": "s", "u": "me", "p": "very-secret"}}
        httpx.post(f"{server.url}/write", content="\n".join(lines).encode(), timeout=60, **words).raise_for_status()
        yield server


@pytest.fixture
def section(influx, env):
    env(INFLUX_PASSWORD="very-secret", WRONG="not-the-one")

    def keys(**keys):
        return {
            "kind": "influxdb", "url": influx.url, "database": "home", "username": "me",
            "password": "${INFLUX_PASSWORD}",
        } | ({} if "query" in keys else {"measurement": "°C"}) | keys  # fmt: skip

    return keys


def test_the_points_of_the_window_are_read(section, read):
    rows = read(section(tags={"room": "ha ll"}), COLUMNS, "time", START, START + 20_000 * MINUTE)
    assert list(rows["value"]) == list(range(1, 20_001)) and set(rows["room"]) == {"ha ll"}
    assert rows["time"].iloc[0] == pd.Timestamp(START + MINUTE) and list(rows) == COLUMNS


def test_fields_of_several_series_are_columns(section, read):
    rows = read(section(), [*COLUMNS, "humidity"], "time", START - MINUTE, START)
    assert rows.sort_values("value").drop(columns="time").to_dict("list") == {
        "value": [-1, 0], "room": ["loft", "ha ll"], "humidity": [50, None],
    } or rows["humidity"].isna().sum() == 1  # fmt: skip


def test_a_query_of_ones_own_is_asked(section, read):
    query = (
        "SELECT max(value) AS most FROM \"°C\" WHERE time > '{since}' AND time <= '{until}' AND room = 'ha ll'"
        " GROUP BY time(10m), room fill(none)"
    )
    rows = read(section(query=query), ["time", "most", "room"], "time", START, START + 30 * MINUTE)
    assert list(rows["most"]) == [9, 19, 29, 30]


def test_an_empty_window_has_the_columns(section, read):
    rows = read(section(), COLUMNS, "time", START - 9 * MINUTE, START - 5 * MINUTE)
    assert rows.empty and list(rows) == COLUMNS


@pytest.mark.parametrize(
    ("keys", "columns", "message"),
    [
        ({"measurement": "C"}, COLUMNS, "source.measurement C, column C:\n.*there are °C"),
        ({}, ["time", "valu"], "column valu:\n.*did you mean 'value'"),
        ({"database": "hom"}, COLUMNS, "database not found: hom"),
        ({"password": "${WRONG}"}, COLUMNS, "status 401"),
        ({"query": "SELEC value"}, COLUMNS, "status 400.*error parsing query"),
    ],
)
def test_what_is_wrong_is_said(section, read, keys, columns, message):
    with pytest.raises(StackError, match=message) as caught:
        read(section(**keys), columns, "time", START, START + MINUTE)
    assert not isinstance(caught.value, UnavailableError)
    assert "very-secret" not in str(caught.value) and "not-the-one" not in str(caught.value)


def test_a_database_that_is_away_may_come_back(section, read):
    with pytest.raises(UnavailableError):
        read(section(url=f"http://127.0.0.1:{free_ports(1)[0]}"), COLUMNS, "time", START, START + MINUTE)


FLUX = """,result,table,_start,_stop,_time,_measurement,room,value\r
,_result,0,2024-01-01T00:00:00Z,2024-01-01T01:00:01Z,2024-01-01T00:01:00Z,°C,hall,20.5\r
,_result,0,2024-01-01T00:00:00Z,2024-01-01T01:00:01Z,2024-01-01T00:02:00.5Z,°C,hall,21\r
\r
,result,table,_start,_stop,_time,_measurement,humidity,room,value\r
,_result,1,2024-01-01T00:00:00Z,2024-01-01T01:00:01Z,2024-01-01T00:01:00Z,°C,50,loft,-1\r
\r
"""


@pytest.fixture
def flux(env):
    env(INFLUX_TOKEN="very-secret")
    with web() as server:
        server.answer = lambda _: (200, {"Content-Type": "text/csv"}, FLUX)
        of = {"kind": "influxdb", "url": server.url, "bucket": "home", "org": "me", "token": "${INFLUX_TOKEN}"}
        yield server, of


def test_flux_is_asked_for_the_window_and_its_tables_are_put_together(flux, read):
    server, of = flux
    rows = read(of | {"measurement": "°C", "tags": {"floor": "0"}}, COLUMNS, "time", START, START + 60 * MINUTE)
    (asked,) = server.asked
    assert rows["value"].tolist() == [20.5, 21, -1] and rows["time"].iloc[1] == pd.Timestamp("2024-01-01T00:02:00.5Z")
    assert asked.parameters == {"org": "me"} and asked.headers["Authorization"] == "Token very-secret"
    assert "range(start: 2024-01-01T00:00:00Z, stop: 2024-01-01T01:00:01Z)" in asked.body
    assert 'r._measurement == "' in asked.body and 'and r["floor"] == "0"' in asked.body


def test_an_error_of_flux_is_said(flux, read):
    server, of = flux
    server.answer = lambda _: (400, {}, {"code": "invalid", "message": 'could not find bucket "home"'})
    with pytest.raises(StackError, match="could not find bucket") as caught:
        read(of | {"measurement": "°C"}, COLUMNS, "time", START, START + MINUTE)
    assert not isinstance(caught.value, UnavailableError)
