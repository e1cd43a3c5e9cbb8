"""One command goes back to the previous version: it answers within seconds, and the audit says why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from services.prediction.schema import example
from stack import audit, registry
from stack.audit import Instant, Judged
from tests.services.conftest import NOW, eventually, get, post

pytestmark = pytest.mark.services
WHEN = Instant(NOW, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def crowned(home, spec, version, prediction) -> tuple[str, str]:
    """Two versions of which the second is live, after the first."""
    prediction.ensure()
    registry.promote(home, spec, version)
    run_id = registry.require_champion(home, spec).run_id
    body = {"name": spec.name, "source": f"models:/{spec.name}/{version}", "run_id": run_id}
    made = post(f"{home.mlflow_url}/api/2.0/mlflow/model-versions/create", body).json()["model_version"]
    audit.promote(home, spec, Judged(made["version"], version, "better", {}), WHEN)
    eventually(lambda: answering(home) == made["version"])
    return version, made["version"]


def answering(home) -> str:
    return get(f"{home.prediction_url}/readyz").json()["projects"]["flights"]["champion"]


def stack(home, *words: str) -> subprocess.CompletedProcess[str]:
    command, environ = [sys.executable, "-m", "stack", *words], os.environ | home.environment()
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_rollback_is_one_command(home, spec, crowned):
    first, second = crowned
    began = time.monotonic()
    told = stack(home, "rollback", "flights", "--reason", "complaints")
    assert time.monotonic() - began < 30
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"flights: version {first} is champion again, after version {second}\n")
    assert float(re.search(r"answers, ([\d.]+) s after", told.stdout)[1]) < 3
    answers = post(f"{home.prediction_url}/flights/predict", {"rows": [example(spec)]}).json()
    assert [answer["model_version"] for answer in answers] == [first]

    again = stack(home, "rollback", "flights")
    assert again.returncode == 1
    assert f"it came by the rollback from version {second}" in again.stderr
    assert answering(home) == first

    shown = stack(home, "audit", "flights").stdout.splitlines()
    assert shown[-1] == f"{NOW:%Y-%m-%d %H:%M}  rollback {first} after {second}: complaints"
    assert shown[-2].endswith(f"promote {second} after {first}: better")
