"""Points of InfluxDB: of version 1 by InfluxQL, of version 2 by Flux, both over HTTP."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pandas as pd

from stack.core import secrets
from stack.core.errors import StackError
from stack.sources import Query, chosen, key, require, web
from stack.sources.templates import fill, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx

    from stack.specification.sources import Influxdb

TIME = "time"
"""What the column with the instant of a point is called, in both versions."""


def read(source: Influxdb, folder: Path, query: Query) -> pd.DataFrame:
    """Return the points of about the window."""
    token = secrets.resolve(source.token, key(folder, "token"))
    url = secrets.resolve(source.url, key(folder, "url"))
    headers = {"Authorization": f"Token {token}"} if token else {}
    with web.explained(key(folder, "url"), "source.token, or source.username"), web.client(url, headers) as client:
        rows = (_by_flux if source.bucket else _by_influxql)(source, folder, query, client)
    if rows.empty:
        return pd.DataFrame(columns=query.columns)
    return chosen(key(folder, "query" if source.query else "measurement"), query, rows)


def _by_influxql(source: Influxdb, folder: Path, query: Query, client: httpx.Client) -> pd.DataFrame:
    words = {"db": source.database}
    if source.username:
        client.auth = (source.username, secrets.resolve(source.password, key(folder, "password")))
    if not source.query:
        fields = " ".join(f"SHOW {kind} KEYS FROM {_name(source.measurement)};" for kind in ("FIELD", "TAG"))
        known = [row["fieldKey" if "fieldKey" in row else "tagKey"] for row in _ask(folder, client, words, fields)]
        if not known:
            names = [row["name"] for row in _ask(folder, client, words, "SHOW MEASUREMENTS")]
            where = f"{key(folder, 'measurement')} {source.measurement}"
            require(where, [source.measurement], names)
        require(f"{key(folder, 'measurement')} {source.measurement}", query.columns, [TIME, *known])
    rows = pd.DataFrame([*_ask(folder, client, words, _influxql(source, folder, query))])
    return rows.assign(**{TIME: pd.to_datetime(rows[TIME], utc=True)}) if TIME in rows else rows


def _influxql(source: Influxdb, folder: Path, query: Query) -> str:
    if source.query:
        return fill(source.query, query, source.zone, key(folder, "query"))
    wanted = ", ".join(_name(name) for name in query.columns if name != TIME) or "*"
    window = f"time > '{written(query.since, '', 'UTC')}' AND time <= '{written(query.until + SECOND, '', 'UTC')}'"
    tags = "".join(f" AND {_name(tag)} = {_text(value)}" for tag, value in source.tags.items())
    return f"SELECT {wanted} FROM {_name(source.measurement)} WHERE {window}{tags}"  # noqa: S608  # quoted


SECOND = timedelta(seconds=1)


def _ask(folder: Path, client: httpx.Client, words: dict[str, str], statement: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of an answer, which comes in parts of 10,000, each with its tags."""
    params = words | {"q": statement, "epoch": "ns", "chunked": "true"}
    with client.stream("POST", "/query", data=params) as answer:
        if answer.is_error:
            answer.read()  # which says why
        answer.raise_for_status()
        for line in answer.iter_lines():
            for result in json.loads(line)["results"]:
                if "error" in result:
                    expected = "a query that the database can answer"
                    raise StackError(key(folder, ""), found=result["error"], expected=expected, todo="correct it")
                for series in result.get("series", []):
                    for values in series["values"]:
                        yield series.get("tags", {}) | dict(zip(series["columns"], values, strict=True))


def _by_flux(source: Influxdb, folder: Path, query: Query, client: httpx.Client) -> pd.DataFrame:
    headers = {"Content-Type": "application/vnd.flux", "Accept": "application/csv"}
    flux = _flux(source, folder, query)
    answer = client.post("/api/v2/query", params={"org": source.org}, headers=headers, content=flux)
    answer.raise_for_status()
    parts = [part for part in answer.text.replace("\r\n", "\n").split("\n\n") if part.strip()]
    rows = pd.concat([pd.read_csv(StringIO(part)) for part in parts], ignore_index=True) if parts else pd.DataFrame()
    if "error" in rows:
        found, expected = secrets.redact(str(rows["error"].iloc[0])), "a query that the database can answer"
        raise StackError(key(folder, ""), found=found, expected=expected, todo="correct it")
    rows = rows.rename(columns={"_time": TIME})
    return rows.assign(**{TIME: pd.to_datetime(rows[TIME], utc=True, format="ISO8601")}) if TIME in rows else rows


def _flux(source: Influxdb, folder: Path, query: Query) -> str:
    if source.query:
        return fill(source.query, query, source.zone, key(folder, "query"))
    fields = " or ".join(f"r._field == {json.dumps(name)}" for name in query.columns if name != TIME)
    tags = "".join(f" and r[{json.dumps(tag)}] == {json.dumps(value)}" for tag, value in source.tags.items())
    return (
        f"from(bucket: {json.dumps(source.bucket)})"
        f" |> range(start: {written(query.since, '', 'UTC')}, stop: {written(query.until + SECOND, '', 'UTC')})"
        f" |> filter(fn: (r) => r._measurement == {json.dumps(source.measurement)} and ({fields}){tags})"
        ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )


def _name(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
