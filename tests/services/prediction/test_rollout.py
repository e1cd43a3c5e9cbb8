"""A challenger answers as a shadow; one command goes back to the previous version, live within seconds."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import BoundedSemaphore
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, update

from services.prediction.canary import hash_fraction
from services.prediction.live_models import LiveModels
from services.prediction.schema import parsed_example, row_model
from services.prediction.service import ProjectService, answer
from stack.core.database import engine, predictions, shadows
from stack.prediction_log import pruning
from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime, Judgement
from stack.specification import example
from stack.specification.sections import Rollout
from tests.polling import eventually
from tests.services.conftest import NOW, get, post

pytestmark = pytest.mark.services
WHEN = DecisionTime(NOW, datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def crowned(home, spec, version, prediction) -> tuple[str, str]:
    """Two versions of which the second is live, after the first."""
    prediction.ensure()
    Project(home, spec).registry.set_champion(version)
    run_id = Project(home, spec).registry.require_champion().run_id
    body = {"name": spec.name, "source": f"models:/{spec.name}/{version}", "run_id": run_id}
    created = post(f"{home.mlflow_url}/api/2.0/mlflow/model-versions/create", body).json()["model_version"]
    decisions.promote(Project(home, spec), Judgement(created["version"], version, "better", {}), WHEN)
    eventually(lambda: answering(home) == created["version"])
    return version, created["version"]


@pytest.fixture
def shadowed(home, spec, crowned) -> LiveModels:
    """The models of a project whose challenger, the version that was live first, answers along."""
    first, _ = crowned
    body = {"name": spec.name, "alias": "challenger", "version": first}
    post(f"{home.mlflow_url}/api/2.0/mlflow/registered-models/alias", body).raise_for_status()
    models = LiveModels(Project(home, spec.model_copy(update={"rollout": Rollout(shadow=True)})))
    models.refresh_live()  # the shadow has not been looked for
    return models


def asked(spec, count: int) -> list:
    return [row_model(spec).model_validate(parsed_example(spec)) for _ in range(count)]


def shadowed_since(home, spec, answers, count):
    """The shadow's rows of these answers, when there are so many."""
    shadow_rows = Project(home, spec).log.read_shadows(NOW - timedelta(days=1), NOW)
    shadow_rows = shadow_rows[shadow_rows["id"].isin([answer["prediction_id"] for answer in answers])]
    return shadow_rows if len(shadow_rows) == count else None


def test_a_shadow_answers_along_and_is_never_returned(home, spec, crowned, shadowed):
    first, second = crowned
    before = answer(shadowed, False, asked(spec, 3))
    shadowed.shadow.refresh()
    answers = answer(shadowed, False, asked(spec, 3))
    assert {answer["model_version"] for answer in answers} == {second}
    shadow_rows = eventually(lambda: [rows] if (rows := shadowed_since(home, spec, answers, 3)) is not None else None)[
        0
    ]
    assert set(shadow_rows["model_version"]) == {second} and set(shadow_rows["shadow_version"]) == {first}
    # Both versions are the same training, so that the shadow must say the same.
    assert shadow_rows["probability_shadow"].tolist() == shadow_rows["probability"].tolist()
    assert shadowed_since(home, spec, before, 0) is not None, "there was no shadow yet"


def test_a_shadow_that_falls_behind_leaves_out_and_never_holds_up(home, spec, shadowed, monkeypatch):
    shadowed.shadow.refresh()
    monkeypatch.setattr(shadowed.shadow, "slots", BoundedSemaphore(1))
    shadowed.shadow.slots.acquire()
    answers = answer(shadowed, False, asked(spec, 2))
    assert len(answers) == 2
    assert shadowed_since(home, spec, answers, 0) is not None


def test_predictions_that_are_pruned_take_their_shadows_along(home, spec, shadowed):
    shadowed.shadow.refresh()
    answers = answer(shadowed, False, asked(spec, 2))
    eventually(lambda: shadowed_since(home, spec, answers, 2) is not None)
    old = [answered["prediction_id"] for answered in answers]
    with engine(home.state_database).begin() as connection:
        aged = update(predictions).where(predictions.c.id.in_(old))
        connection.execute(aged.values(answered_at=datetime.now(UTC) - timedelta(days=40)))
    answer(shadowed, False, asked(spec, 1))
    pruning.prune(home.model_copy(update={"keep_days": 1}), datetime.now(UTC))
    with engine(home.state_database).connect() as connection:
        left = select(func.count()).select_from(shadows).where(shadows.c.id.in_(old))
        assert connection.execute(left).scalar() == 0


@dataclass
class Tried:
    """A served project with a canary, on an event loop of its own."""

    served: ProjectService
    loop: asyncio.Runner

    def ask(self, requests: list[list[dict]]) -> list[list[dict]]:
        """Post requests at the same time."""

        async def post() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.served)
            async with httpx.AsyncClient(transport=transport, base_url="http://stack") as client:
                asked = (client.post("/flights/predict", json={"rows": rows}) for rows in requests)
                return await asyncio.gather(*asked)

        return [answer.json() for answer in self.loop.run(post())]


@contextmanager
def serving(home, spec) -> Iterator[Tried]:
    """Serve a project in this process."""
    served = ProjectService(Project(home, spec))
    with asyncio.Runner() as loop:
        loop.run(served.start())
        yield Tried(served, loop)
        loop.run(served.stop())


@pytest.fixture
def tried(home, spec, crowned) -> Iterator[Tried]:
    """Flights, whose canary, the version that was live first, answers a third of the requests."""
    first, second = crowned
    decisions.try_out(Project(home, spec), Judgement(first, second, "better", {}), WHEN)
    with serving(home, spec.model_copy(update={"rollout": Rollout(canary=1 / 3, min_requests=20)})) as running:
        yield running
    decisions.withdraw(Project(home, spec), Judgement(first, second, "the end", {}), WHEN)


def test_a_canary_answers_its_share_and_no_request_is_answered_by_both(home, spec, crowned, tried):
    first, second = crowned
    ids = [str(UUID(int=number, version=4)) for number in range(200)]
    requests = [[example.row(spec) | {"prediction_id": key}, example.row(spec), example.row(spec)] for key in ids]
    answers = tried.ask(requests)
    by = {key: {row["model_version"] for row in answer} for key, answer in zip(ids, answers, strict=True)}
    assert {len(versions) for versions in by.values()} == {1}
    canarys = [key for key in ids if by[key] == {first}]
    assert 40 <= len(canarys) <= 95  # 200 / 3, four standard deviations either way
    assert canarys == [key for key in ids if hash_fraction(first, key) < 1 / 3]
    log = Project(home, spec).log.read(NOW - timedelta(days=1), NOW).set_index("id")["model_version"]
    assert all(log[row["prediction_id"]] == row["model_version"] for answer in answers for row in answer)
    assert tried.served.models.canary.requests.summary().requests == len(canarys)
    # Without an id of the caller's own, too.
    assert {row["model_version"] for (row,) in tried.ask([[example.row(spec)]] * 60)} == {first, second}


def test_a_canary_that_fails_is_withdrawn(home, spec, crowned, tried, monkeypatch):
    first, second = crowned
    monkeypatch.setattr(tried.served.models.canary.model, "predict", lambda _: 1 / 0)
    answers = tried.ask([[example.row(spec)]] * 150)
    assert tried.served.models.canary.requests.summary().errors >= 20
    tried.served.models.refresh()
    assert Project(home, spec).registry.canary() is None
    entry = decisions.entries(Project(home, spec))[-1]
    assert (entry.kind, entry.version, entry.champion) == ("withdraw", first, second)
    assert entry.reason.endswith("requests failed, more than 10%")
    assert {row["model_version"] for (row,) in tried.ask([[example.row(spec)]] * 50)} == {second}
    assert {row["model_version"] for answer in answers if isinstance(answer, list) for row in answer} == {second}


def test_a_canary_that_does_not_load_is_withdrawn(home, spec, crowned, monkeypatch):
    first, second = crowned
    decisions.try_out(Project(home, spec), Judgement(first, second, "better", {}), WHEN)
    models = LiveModels(Project(home, spec.model_copy(update={"rollout": Rollout(canary=0.5)})))
    loaded = LiveModels.load
    monkeypatch.setattr(
        LiveModels,
        "load",
        lambda models, version, folder: loaded(models, version, folder / ("x" if version == first else "")),
    )
    models.refresh()
    assert models.champion.version == second and models.canary is None and Project(home, spec).registry.canary() is None
    assert decisions.entries(Project(home, spec))[-1].reason.startswith("it does not load: ")


def test_a_new_champion_that_fails_goes_back_once(home, spec, crowned, caplog, monkeypatch):
    first, second = crowned
    with serving(home, spec) as tried:
        models = tried.served.models
        assert models.champion.version == second
        monkeypatch.setattr(models.champion.model, "predict", lambda _: 1 / 0)
        tried.ask([[example.row(spec)]] * 100)
        models.refresh()
        assert models.champion.version == Project(home, spec).registry.champion().version == first
        assert "rolled back to version" in caplog.text
        entry = decisions.entries(Project(home, spec))[-1]
        assert (entry.kind, entry.version, entry.champion) == ("rollback", first, second)
        assert entry.reason == "100 of 100 requests failed, more than 10%"
        assert tried.ask([[example.row(spec)]])[0][0]["model_version"] == first

        monkeypatch.setattr(models.champion.model, "predict", lambda _: 1 / 0)
        tried.ask([[example.row(spec)]] * 100)
        models.refresh()
        assert models.champion.version == first and not models.problem
        assert decisions.entries(Project(home, spec))[-1] == entry, "two versions do not take turns"


def answering(home) -> str:
    return get(f"{home.prediction_url}/readyz").json()["projects"]["flights"]["champion"]


def stack(home, *words: str) -> subprocess.CompletedProcess[str]:
    command, environ = [sys.executable, "-m", "stack", *words], os.environ | home.environment()
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_rollback_is_one_command(home, spec, crowned):
    first, second = crowned
    process = stack(home, "rollback", "flights", "--reason", "complaints")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(f"flights: version {first} is champion again, after version {second}\n")
    assert float(re.search(r"answers, ([\d.]+) s after", process.stdout)[1]) < 3
    answers = post(f"{home.prediction_url}/flights/predict", {"rows": [example.row(spec)]}).json()
    assert [answer["model_version"] for answer in answers] == [first]

    again = stack(home, "rollback", "flights")
    assert again.returncode == 1
    assert f"it came by the rollback from version {second}" in again.stderr
    assert answering(home) == first

    shown = stack(home, "audit", "flights").stdout.splitlines()
    assert shown[-1] == f"{NOW:%Y-%m-%d %H:%M}  rollback {first} after {second}: complaints"
    assert shown[-2].endswith(f"promote {second} after {first}: better")
