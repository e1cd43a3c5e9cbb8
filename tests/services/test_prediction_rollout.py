"""A challenger answers as a shadow; one command goes back to the previous version, live within seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore

import pytest
from sqlalchemy import func, select

from services.prediction.answers import answer
from services.prediction.champions import Seat
from services.prediction.schema import example, parsed_example, row_model
from stack import audit, predictions, registry, shadows, state
from stack.audit import Instant, Judged
from stack.project import Rollout
from stack.state import engine
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


@pytest.fixture
def shadowed(home, spec, crowned) -> Seat:
    """The seat of a project whose challenger, the version that was live first, answers along."""
    first, _ = crowned
    body = {"name": spec.name, "alias": "challenger", "version": first}
    post(f"{home.mlflow_url}/api/2.0/mlflow/registered-models/alias", body).raise_for_status()
    seat = Seat(home, spec.model_copy(update={"rollout": Rollout(shadow=True)}))
    seat._look()  # the shadow has not been looked for
    return seat


def asked(spec, count: int) -> list:
    return [row_model(spec).model_validate(parsed_example(spec)) for _ in range(count)]


def shadowed_since(home, spec, answers, count):
    """The shadow's rows of these answers, when there are so many."""
    found = shadows.read(home, spec, NOW - timedelta(days=1), NOW)
    found = found[found["id"].isin([str(one.prediction_id) for one in answers])]
    return found if len(found) == count else None


def test_a_shadow_answers_along_and_is_never_returned(home, spec, crowned, shadowed):
    first, second = crowned
    before = answer(home, shadowed, asked(spec, 3))
    shadowed.shadow.look()
    answers = answer(home, shadowed, asked(spec, 3))
    assert {one.model_version for one in answers} == {second}
    found = eventually(lambda: [rows] if (rows := shadowed_since(home, spec, answers, 3)) is not None else None)[0]
    assert set(found["model_version"]) == {second} and set(found["shadow_version"]) == {first}
    # Both versions are the same training, so that the shadow must say the same.
    assert found["shadow_probability"].tolist() == found["probability"].tolist()
    assert shadowed_since(home, spec, before, 0) is not None, "nobody was the shadow yet"


def test_a_shadow_that_falls_behind_leaves_out_and_never_holds_up(home, spec, shadowed, monkeypatch):
    shadowed.shadow.look()
    monkeypatch.setattr(shadowed.shadow, "_room", BoundedSemaphore(1))
    shadowed.shadow._room.acquire()
    answers = answer(home, shadowed, asked(spec, 2))
    assert len(answers) == 2
    assert shadowed_since(home, spec, answers, 0) is not None


def test_predictions_that_are_pruned_take_their_shadows_along(home, spec, shadowed):
    shadowed.shadow.look()
    answers = answer(home, shadowed, asked(spec, 2))
    eventually(lambda: shadowed_since(home, spec, answers, 2) is not None)
    predictions.prune(home, datetime.now(UTC) + timedelta(minutes=1))
    with engine(home.state_database).connect() as connection:
        assert connection.execute(select(func.count()).select_from(state.shadows)).scalar() == 0


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
