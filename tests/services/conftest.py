"""What the prediction service stands on: a registry, eleven days of real flights, and a champion."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from stack.core.settings import Settings
from stack.project import Project, contract
from stack.specification import specs
from stack.specification.sections import Training
from stack.specification.specs import ProjectSpec
from tests.polling import PATIENCE_SECONDS
from tests.stacks import Service

SINCE, NOW = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 12, 15, tzinfo=UTC)


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False)


def post(url: str, body: Any) -> httpx.Response:
    return httpx.post(url, json=body, timeout=PATIENCE_SECONDS, trust_env=False)


@pytest.fixture(scope="session")
def spec() -> ProjectSpec:
    """Flights, with a search of one trial."""
    training = Training(candidates=["gradient_boosting"], trials=1, folds=1)
    return specs.load("flights").model_copy(update={"training": training})


@pytest.fixture(scope="session")
def home(tracked: Settings) -> Settings:
    """Settings of a stack of its own."""
    return tracked


@pytest.fixture(scope="session")
def version(home: Settings, spec: ProjectSpec) -> str:
    """A version trained on eleven real days; no alias points at it yet. The clock stands at NOW."""
    from stack.core import code
    from stack.features import datasets, features
    from stack.lake import lake
    from stack.promotion import challengers
    from stack.training.training import TrainingSet

    lake.prepare(home)
    features.apply(home)
    revision = Project(home, spec).lake.append(contract.source(spec.name).fetch(SINCE, NOW), SINCE, NOW)
    features.update(Project(home, spec), SINCE, NOW)
    features.materialise(Project(home, spec), NOW - timedelta(days=1), NOW)
    Project(home, spec).clock.advance(NOW)
    data = TrainingSet(datasets.labelled(Project(home, spec), NOW), NOW, revision, code.version())
    return challengers.train(Project(home, spec), data, lambda _: None).version


@pytest.fixture(scope="session")
def prediction(home: Settings, version: str) -> Iterator[Service]:
    """The prediction service, running."""
    service = Service(home, "prediction", lambda: get(f"{home.prediction_url}/readyz").is_success)
    service.start()
    yield service
    service.stop()
