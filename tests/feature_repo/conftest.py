"""Three days of the real flights, ingested once."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from stack.core.settings import Settings
from stack.features import features
from stack.project import Project, contract
from stack.specification import specs
from stack.specification.specs import ProjectSpec

SINCE, UNTIL = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 4, tzinfo=UTC)


@pytest.fixture(scope="session")
def flights() -> ProjectSpec:
    return specs.load("flights")


@pytest.fixture(scope="session")
def three_days(tmp_path_factory: pytest.TempPathFactory, flights: ProjectSpec) -> Iterator[Settings]:
    """Settings of a stack whose lake and feature tables hold 1-3 January; nothing is online yet."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    assert features.apply(settings) == {}
    Project(settings, flights).lake.append(contract.source(flights.name).fetch(SINCE, UNTIL), SINCE, UNTIL)
    features.update(Project(settings, flights), SINCE, UNTIL)
    yield settings
