"""Sensors of Home Assistant, one column each: its long-term statistics, or the history of their states."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pandas as pd
from websockets.exceptions import InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import connect

from stack.core import secrets
from stack.core.errors import StackError, nearest
from stack.sources import AVAILABLE_AT, Query, chosen, key, require, web

if TYPE_CHECKING:
    from pathlib import Path

    from stack.specification.sources import HomeAssistant

TIME, END = "time", "end"
"""Columns beside the sensors: when a period began, and when it ended."""
PERIODS = {"hour": pd.Timedelta(hours=1), "5minute": pd.Timedelta(minutes=5)}
SETTLED = pd.Timedelta(minutes=10)
"""Home Assistant has written a period down so long after its end: it does so every five minutes, and after a start."""
AT_ONCE = {"hour": 24 * 90, "5minute": 12 * 24 * 30}
"""Periods that one request asks for."""
UNKNOWN = ["unknown", "unavailable", ""]
SECONDS = 60
Ask = Callable[..., Any]


def read(source: HomeAssistant, folder: Path, query: Query) -> pd.DataFrame:
    """Return a row for each period that Home Assistant had written down by an instant in the window."""
    require(key(folder, "sensors"), query.columns, [TIME, END, *source.sensors])
    length = PERIODS[source.period]
    first, last = (pd.Timestamp(at) - length - SETTLED for at in (query.since, query.until))
    starts = pd.date_range(first.floor(length) + length, last, freq=length)
    ask = _history if source.history else _statistics
    values = ask(source, folder, starts, once=query.once) if len(starts) else pd.DataFrame(index=starts)
    rows = values.reindex(columns=[*source.sensors]).dropna(how="all")
    rows[TIME] = rows.index
    rows[END] = rows[TIME] + length
    wanted = chosen(key(folder, "sensors"), query, rows)
    return wanted.assign(**{AVAILABLE_AT: rows[END] + SETTLED}).reset_index(drop=True)


def _parts(source: HomeAssistant, starts: pd.DatetimeIndex) -> Iterator[pd.DatetimeIndex]:
    """Yield the starts of the periods that one request asks for."""
    size = AT_ONCE[source.period]
    yield from (starts[at : at + size] for at in range(0, len(starts), size))


def _statistics(source: HomeAssistant, folder: Path, starts: pd.DatetimeIndex, *, once: bool) -> pd.DataFrame:
    """Return the long-term statistics by start of period: means, or of a meter what was added.

    Args:
        once: the last period must have been written down.
    """
    parts = []
    with _connected(source, folder) as ask:
        meters = {known["statistic_id"]: known["has_sum"] for known in ask(type="recorder/list_statistic_ids")}
        wanted = {}
        for name, text in source.sensors.items():
            sensor, _, kind = text.partition(" ")
            _require_sensor(folder, name, sensor, [*meters])
            wanted[name] = sensor, kind or ("change" if meters[sensor] else "mean")
        command = {
            "type": "recorder/statistics_during_period",
            "period": source.period,
            "statistic_ids": sorted({sensor for sensor, _ in wanted.values()}),
            "types": sorted({kind for _, kind in wanted.values()}),
        }
        if len(starts) > AT_ONCE[source.period]:
            starts = starts[starts >= _first(ask, command, starts)]
        for part in _parts(source, starts):
            end = part[-1] + PERIODS[source.period]
            found = ask(**command, start_time=part[0].isoformat(), end_time=end.isoformat())
            columns = {name: _series(found.get(sensor, []), kind) for name, (sensor, kind) in wanted.items()}
            parts.append(pd.DataFrame(columns).reindex(part))
        if once and parts and parts[-1].iloc[-1].isna().all():
            _require_written(key(folder, "url"), ask, source.period, starts[-1], meters)
    return pd.concat(parts) if parts else pd.DataFrame(index=starts[:0])


def _require_written(where: str, ask: Ask, period: str, start: pd.Timestamp, known: Collection[str]) -> None:
    """Raise an UnavailableError where Home Assistant has not written a period down for any sensor that has a number.

    It writes periods down in their order, for all sensors at once. Of the time when it did not run it does so after
    it has started, when it answers already.
    """
    states = [state for state in ask(type="get_states") if "state_class" in state["attributes"]]
    numbers = pd.to_numeric(pd.Series([state["state"] for state in states], dtype=object), errors="coerce")
    measured = [state["entity_id"] for state, number in zip(states, numbers, strict=True) if math.isfinite(number)]
    window = {"start_time": start.isoformat(), "end_time": (start + PERIODS[period]).isoformat()}
    command = {"type": "recorder/statistics_during_period", "period": period, "types": ["mean", "sum"]}
    live = [sensor for sensor in measured if sensor in known]
    if live and not ask(**command, statistic_ids=live, **window):
        raise web.away(where, f"Home Assistant has not written down its statistics of {start:%Y-%m-%d %H:%M} UTC yet")


def _first(ask: Ask, command: dict[str, Any], starts: pd.DatetimeIndex) -> pd.Timestamp:
    """Return the first month that has statistics, so that decades without any need no request."""
    window = {"start_time": starts[0].isoformat(), "end_time": starts[-1].isoformat()}
    months = ask(**(command | {"period": "month"}), **window).values()
    return pd.to_datetime(min((sensor[0]["start"] for sensor in months if sensor), default=2**42), unit="ms", utc=True)


def _series(periods: list[dict[str, Any]], kind: str) -> pd.Series[float]:
    index = pd.to_datetime([period["start"] for period in periods], unit="ms", utc=True)
    return pd.Series([period.get(kind) for period in periods], index=index, dtype=float)


def _history(source: HomeAssistant, folder: Path, starts: pd.DatetimeIndex, *, once: bool) -> pd.DataFrame:
    """Return means over time of the states of numeric sensors, and the last states of others, by start of period.

    Args:
        once: makes no difference, as states are written down within seconds.
    """
    where = key(folder, "url")
    url, token = _address(source, folder)
    parts = []
    with (
        web.explained(where, "source.token"),
        web.client(url, {"Authorization": f"Bearer {token}"}) as client,
    ):
        _require_started(where, client.get("/api/config").raise_for_status().json())
        states = client.get("/api/states").raise_for_status().json()
        known = [state["entity_id"] for state in states]
        for name, sensor in source.sensors.items():
            _require_sensor(folder, name, sensor, known)
        for part in reversed([*_parts(source, starts)]):
            edges = part.union([part[-1] + PERIODS[source.period]])
            words = {"filter_entity_id": ",".join(source.sensors.values()), "end_time": edges[-1].isoformat()}
            flags = {"minimal_response": "", "no_attributes": "", "significant_changes_only": "0"}
            answer = client.get(f"/api/history/period/{edges[0].isoformat()}", params=words | flags)
            found = {changes[0]["entity_id"]: changes for changes in answer.raise_for_status().json() if changes}
            if not found:  # each part begins with the states before it: there are none
                break
            columns = {name: in_periods(found.get(sensor, []), edges) for name, sensor in source.sensors.items()}
            parts.append(pd.DataFrame(columns))
    return pd.concat(reversed(parts)) if parts else pd.DataFrame(index=starts[:0])


def in_periods(changes: list[dict[str, str]], edges: pd.DatetimeIndex) -> pd.Series[Any]:
    """Return the value of each period between edges, of changes of a state with their instants.

    The mean of numbers over time, as long as they were known; of other states the last one.
    """
    index = pd.to_datetime([change["last_changed"] for change in changes], utc=True, format="ISO8601")
    states = pd.Series([change["state"] for change in changes], index=index, dtype=object)
    states = states[~states.index.duplicated(keep="last")].sort_index().replace(UNKNOWN, None)
    numbers = pd.to_numeric(states, errors="coerce")
    if states.notna().any() and numbers.isna().all():
        last = states.reindex(edges[1:] - pd.Timedelta(1, "us"), method="ffill")
        return last.set_axis(edges[:-1])
    steps = numbers.reindex(numbers.index.union(edges), method="ffill")
    steps = steps[(steps.index >= edges[0]) & (steps.index <= edges[-1])]
    seconds = pd.Series([(b - a).total_seconds() for a, b in pairwise(steps.index)], index=steps.index[:-1])
    steps = steps.iloc[:-1]
    period = edges[edges.searchsorted(steps.index, "right") - 1]
    weights = seconds.where(steps.notna(), 0.0).groupby(period).sum()
    return ((steps * seconds).groupby(period).sum() / weights).where(weights > 0)


def _require_started(where: str, config: dict[str, Any]) -> None:
    """Raise an UnavailableError while Home Assistant starts: it answers before it knows all its sensors."""
    if (state := config["state"]) != "RUNNING":
        raise web.away(where, f"Home Assistant is starting or stopping (state {state})")


def _require_sensor(folder: Path, name: str, sensor: str, known: list[str]) -> None:
    if sensor not in known:
        found = f"no sensor {sensor}{nearest(sensor, known)}"
        expected = "a sensor of Home Assistant; one with long-term statistics unless `history: true`"
        raise StackError(key(folder, f"sensors.{name}"), found=found, expected=expected, todo="correct the name")


def _address(source: HomeAssistant, folder: Path) -> tuple[str, str]:
    url = secrets.resolve(source.url, key(folder, "url")).rstrip("/")
    return url, secrets.resolve(source.token, key(folder, "token"))


@contextmanager
def _connected(source: HomeAssistant, folder: Path) -> Iterator[Ask]:
    """Give a function that sends a command to the WebSocket API and returns its result."""
    where = key(folder, "url")
    url, token = _address(source, folder)
    try:
        with connect(f"ws{url.removeprefix('http')}/api/websocket", max_size=None, open_timeout=20) as connection:

            def receive() -> Any:
                return json.loads(connection.recv(timeout=SECONDS))

            receive()  # which version asks for the login
            connection.send(json.dumps({"type": "auth", "access_token": token}))
            if (answer := receive())["type"] != "auth_ok":
                todo = "make a long-lived access token on your profile's page there, and put it into .env"
                found, expected = answer.get("message", "a refusal"), "a token that Home Assistant accepts"
                raise StackError(key(folder, "token"), found=found, expected=expected, todo=todo)
            numbers = count(1)

            def ask(**command: Any) -> Any:
                connection.send(json.dumps({"id": next(numbers)} | command))
                answer = receive()
                if not answer["success"]:
                    found, expected = answer["error"]["message"], "a request that Home Assistant understands"
                    raise StackError(key(folder, ""), found=found, expected=expected, todo="correct it")
                return answer["result"]

            _require_started(where, ask(type="get_config"))
            yield ask
    except (InvalidURI, InvalidStatus) as error:
        if isinstance(error, InvalidStatus) and error.response.status_code >= 500:
            raise web.away(where, str(error)) from None
        expected = "the address of Home Assistant, like http://homeassistant.local:8123"
        raise StackError(where, found=str(error), expected=expected, todo="correct it") from None
    except (OSError, WebSocketException) as error:
        raise web.away(where, f"{source.url}: {error}") from None
