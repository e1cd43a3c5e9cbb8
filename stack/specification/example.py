"""The example request of a project, from the examples in project.yaml, and the command that sends it."""

from __future__ import annotations

import json
import shlex
from pprint import pformat
from typing import TYPE_CHECKING, Any

from stack.specification import forecasts

if TYPE_CHECKING:
    from stack.specification.specs import ProjectSpec


SHOWN = 3
"""Steps of an example forecast."""


def fields(spec: ProjectSpec) -> dict[str, Any]:
    """Return request field -> its example, as JSON has it."""
    return {name: field.example for name, field in spec.request.items()}


def row(spec: ProjectSpec) -> dict[str, Any]:
    """Return a row as a caller sends it: of a forecast, the key of the series and what is known ahead of each step."""
    values = fields(spec)
    if not spec.forecast:
        return values
    inputs = {name: values[name] for name in forecasts.inputs(spec)}
    steps = {"steps": [inputs] * min(SHOWN, spec.forecast.steps)} if inputs else {}
    return {name: values[name] for name in forecasts.keys(spec)} | steps


def columns(spec: ProjectSpec) -> dict[str, list[Any]]:
    """Return the row as features are computed from it: request field -> a list of its value; instants are datetimes."""
    return {name: [field.value] for name, field in spec.request.items()}


def body(spec: ProjectSpec) -> str:
    """Return the body of a request for a prediction."""
    return json.dumps({"rows": [row(spec)]})


def curl(url: str, name: str, body: str) -> str:
    """Return a command, ready to paste, that asks a project's champion; at the gateway it names who asks."""
    login = " --user stack --cacert ca.crt" if url.startswith("https:") else ""
    return f"curl{login} {url}/{name}/predict -H 'Content-Type: application/json' -d {shlex.quote(body)}"


def python(url: str, name: str, body: str) -> str:
    """Return the lines of Python that ask a project's champion; at the gateway they name who asks."""
    login = ', auth=("stack", "<password>"), verify="ca.crt"' if url.startswith("https:") else ""
    return "\n".join(
        [
            "import requests",
            "",
            f"body = {pformat(json.loads(body), width=96, sort_dicts=False)}",
            f'answer = requests.post("{url}/{name}/predict", json=body{login})',
            "answer.raise_for_status()",
            "print(answer.json())",
        ]
    )
