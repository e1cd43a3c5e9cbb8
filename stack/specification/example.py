"""The example request of a project, from the examples in project.yaml, and the command that sends it."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stack.specification.specs import ProjectSpec


def row(spec: ProjectSpec) -> dict[str, Any]:
    """Return a row: request field -> its example, as JSON has it."""
    return {name: field.example for name, field in spec.request.items()}


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
