"""A canary's whole trial, and a new champion's: asked over HTTP, given the labels, judged by the monitoring flow."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

import stack.project.project
from flows.monitor import monitor
from monitoring import pages
from services.prediction.app import PredictionApp
from services.prediction.projects import ProjectRegistry
from stack.core.database import engine
from stack.core.settings import ROOT, Settings
from stack.project import Project, contract
from stack.promotion import challengers, decisions
from stack.promotion.decisions import DecisionTime, Entry, Judgement
from stack.registry.registry import Version
from stack.serving import scoring
from stack.specification import specs
from stack.specification.sections import Training
from stack.specification.specs import ProjectSpec
from stack.training.training import TrainingSet
from tests.services.conftest import NOW, post

pytestmark = pytest.mark.services
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROLLOUT = {"canary": 0.5, "canary_for": "P1D", "max_loss_increase": 0.01, "min_labelled": 300}
FLIGHTS, TOGETHER = 400, 5
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def trained(home: Settings, spec: ProjectSpec, version: str) -> dict[str, Version]:
    """A model that has learnt something, and one that has not."""
    from stack.features import datasets

    dull = spec.model_copy(update={"name": "dull", "training": Training(candidates=["dummy"], trials=1, folds=1)})
    data = TrainingSet(datasets.labelled(Project(home, spec), NOW), NOW, data_revision="1", code_version="1")
    poor = challengers.train(Project(home, dull), data, lambda _: None).version
    return {"good": Project(home, spec).registry.numbered(version), "poor": Project(home, dull).registry.numbered(poor)}


@dataclass
class Trial:
    """A project of its own, served in this process, and its versions."""

    settings: Settings
    spec: ProjectSpec
    versions: dict[str, str]
    rows: list[dict[str, Any]]
    projects: ProjectRegistry
    loop: asyncio.Runner

    @property
    def project(self) -> Project:
        return Project(self.settings, self.spec)

    def when(self) -> DecisionTime:
        return DecisionTime(self.project.clock.now(), datetime(2026, 1, 1, tzinfo=UTC))

    def passed(self, name: str, after: str | None) -> Judgement:
        return Judgement(self.versions[name], after and self.versions[after], "better", {})

    def crown(self, name: str, after: str | None = None) -> None:
        decisions.promote(self.project, self.passed(name, after), self.when())

    def try_out(self, name: str, after: str) -> None:
        decisions.try_out(self.project, self.passed(name, after), self.when())

    def ask(self) -> Counter[str]:
        """Ask about the flights an hour later, some in a request; count the answers of each model."""
        self.project.clock.advance(self.when().at + HOUR)
        bodies = [self.rows[at : at + TOGETHER] for at in range(0, FLIGHTS, TOGETHER)]
        answers = self.loop.run(self._post("predict", "rows", bodies))
        names = {version: name for name, version in self.versions.items()}
        return Counter(names[row["model_version"]] for answer in answers for row in answer)

    def tell(self) -> None:
        """Say what was true: of the flights that the good model thinks likelier to be late, each was."""
        log = self.project.log.read(NOW, self.when().at)
        version = self.project.registry.numbered(self.versions["good"])
        with scoring.loaded(self.settings, version) as model:
            late = model.predict({name: log[name] for name in self.spec.features.columns})[:, 0]
        late = late > np.median(late)
        labels = [{"prediction_id": key, "label": int(was)} for key, was in zip(log["id"], late, strict=True)]
        (noted,) = self.loop.run(self._post("feedback", "labels", [labels]))
        assert noted == {"labelled": FLIGHTS, "unknown": []}

    async def _post(self, verb: str, key: str, bodies: list[Any]) -> list[Any]:
        await self.projects.refresh()
        transport = httpx.ASGITransport(PredictionApp(self.projects))
        async with httpx.AsyncClient(transport=transport, base_url="http://stack") as client:
            path = f"/{self.spec.name}/{verb}"
            return [(await client.post(path, json={key: body})).raise_for_status().json() for body in bodies]

    def aliases(self) -> dict[str, str]:
        """The model behind each alias."""
        names = {version: name for name, version in self.versions.items()}
        versions = {alias: self.project.registry.aliased(alias) for alias in ("champion", "canary", "previous")}
        return {alias: names[version.version] for alias, version in versions.items() if version}

    def last(self) -> Entry:
        return decisions.entries(self.project)[-1]


@pytest.fixture
def trial(home, spec, trained, prefect, tmp_path, monkeypatch) -> Iterator[Trial]:
    name = f"trial{next(NUMBERS)}"
    raw = yaml.safe_load((ROOT / "projects/flights/project.yaml").read_text())
    raw |= {"name": name, "rollout": ROLLOUT}
    raw["monitoring"] |= {"min_rows": FLIGHTS // 2}
    (tmp_path / name).mkdir()
    (tmp_path / name / "project.yaml").write_text(yaml.safe_dump(raw))
    rows = contract.request_source(spec.name).requests(NOW, NOW + DAY)[list(spec.request)].head(FLIGHTS)
    monkeypatch.setattr(Settings, "projects", tmp_path)
    monkeypatch.setattr(stack.project.project, "settings", lambda: home)
    own = specs.load(name)
    Project(home, own).clock.advance(NOW)
    post(f"{home.mlflow_url}/api/2.0/mlflow/registered-models/create", {"name": name}).raise_for_status()
    versions = {quality: registered(home, own, version) for quality, version in trained.items()}
    with asyncio.Runner() as loop:
        projects = ProjectRegistry(home)
        yield Trial(home, own, versions, rows.map(text).to_dict("records"), projects, loop)
        loop.run(projects.stop())


def registered(settings: Settings, spec: ProjectSpec, version: Version) -> str:
    """Register the run of another project's version as one of this project."""
    body = {"name": spec.name, "source": f"models:/{version.name}/{version.version}", "run_id": version.run_id}
    created = post(f"{settings.mlflow_url}/api/2.0/mlflow/model-versions/create", body).json()["model_version"]
    project = Project(settings, spec)
    project.registry.tag(project.registry.numbered(created["version"]), version.tags)
    return str(created["version"])


def text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def test_a_canary_that_does_well_answers_its_share_and_is_promoted(trial: Trial) -> None:
    trial.crown("poor")
    trial.try_out("good", after="poor")
    share = trial.ask()
    assert 90 < share["good"] < 310 and share.total() == FLIGHTS  # a half, five standard deviations either way
    trial.tell()

    monitor(trial.spec.name)
    assert trial.aliases() == {"champion": "poor", "canary": "good"}, "its time is not over"

    monitor(trial.spec.name, NOW + DAY)
    assert trial.aliases() == {"champion": "good", "previous": "poor"}
    entry = trial.last()
    assert (entry.kind, entry.version, entry.champion) == ("promote", trial.versions["good"], trial.versions["poor"])
    assert entry.reason.startswith("it answered 50% of the requests from 2013-01-12 15:00 on, within its bounds; loss ")
    assert entry.numbers["canary"]["rows"] == FLIGHTS
    assert entry.numbers["canary"]["mean"] < entry.numbers["canary"]["other"]
    assert trial.ask() == {"good": FLIGHTS}


def test_rows_that_cannot_be_read_stop_neither_monitoring_nor_a_rollout(trial: Trial) -> None:
    trial.crown("good")
    trial.try_out("poor", after="good")
    trial.ask()
    trial.tell()
    log = trial.project.log.read(NOW, trial.when().at)
    damages = {"label_at": "0001-01-01 00:00:00", "request": '{"sched_dep": "1600-01-01T00:00:00Z"}', "answer": "x"}
    with engine(trial.settings.state_database).begin() as connection:
        for name, (column, value) in zip(log["id"], damages.items(), strict=False):
            connection.exec_driver_sql(f"UPDATE predictions SET {column} = ? WHERE id = ?", (value, name))

    monitor(trial.spec.name, NOW + DAY)
    assert trial.last().kind == "withdraw", "the canary was judged on the rows that can be read"
    assert trial.last().numbers["canary"]["rows"] == FLIGHTS - len(damages)
    reasons = [reason["text"] for reason in pages.summaries(trial.settings, trial.spec.name)[-1]["verdict"]["reasons"]]
    assert "unreadable: 3 logged predictions are left out" in reasons


def test_a_canary_that_does_worse_is_withdrawn_with_an_alarm(trial: Trial, caplog) -> None:
    trial.crown("good")
    trial.try_out("poor", after="good")
    assert set(trial.ask()) == {"good", "poor"}
    trial.tell()

    monitor(trial.spec.name, NOW + DAY)
    assert trial.aliases() == {"champion": "good"}
    entry = trial.last()
    assert (entry.kind, entry.version, entry.champion) == ("withdraw", trial.versions["poor"], trial.versions["good"])
    assert entry.reason.endswith("on 400 labelled requests, more than 0.01 above it")
    assert f"{trial.spec.name}: canary version {entry.version} withdrawn" in caplog.text
    assert trial.ask() == {"good": FLIGHTS}


def test_a_new_champion_that_does_worse_goes_back_with_an_alarm(trial: Trial, caplog) -> None:
    trial.crown("good")
    trial.crown("poor", after="good")
    assert trial.ask() == {"poor": FLIGHTS}
    trial.tell()

    monitor(trial.spec.name)
    assert trial.aliases() == {"champion": "good"}
    entry = trial.last()
    assert (entry.kind, entry.version, entry.champion) == ("rollback", trial.versions["good"], trial.versions["poor"])
    assert entry.reason.endswith("on 400 labelled requests, more than 0.01 above it")
    assert f"{trial.spec.name}: rolled back to version {entry.version}" in caplog.text
    assert trial.ask() == {"good": FLIGHTS}
    monitor(trial.spec.name)
    assert trial.last() == entry, "two versions do not take turns"
