"""The champion that the prediction service answers with, and what it has logged."""

from datetime import UTC, datetime, timedelta

import pytest

from stack.project import Project
from stack.promotion import decisions
from stack.promotion.decisions import DecisionTime, Judgement
from stack.specification import example, specs
from tests.polling import eventually
from tests.services.conftest import NOW, get, post

ROW = example.row(specs.load("flights")) | {
    "sched_dep": "2013-01-12T12:00:00-05:00",
    "sched_arr": "2013-01-12T13:37:00-06:00",
}


@pytest.fixture
def url(home, prediction) -> str:
    prediction.ensure()
    return f"{home.prediction_url}/flights/predict"


@pytest.fixture
def champion(home, spec, version, prediction) -> str:
    """The version, as the champion that the service has loaded."""
    crown(home, spec, version)
    return version


def crown(home, spec, version: str) -> None:
    """Point the alias at a version, and wait until it answers."""
    Project(home, spec).registry.set_champion(version)
    eventually(lambda: readiness(home)["champion"] == version)


def promote(home, spec, version: str, after: str) -> None:
    """Promote a version as the gate does, which the service notices sooner, and wait until it answers."""
    decisions.promote(
        Project(home, spec), Judgement(version, after, "better", {}), DecisionTime(NOW, datetime.now(UTC))
    )
    eventually(lambda: readiness(home)["champion"] == version)


def another(home, spec, version: str) -> str:
    """Register the run of a version once more."""
    run_id = Project(home, spec).registry.aliased("champion").run_id
    body = {"name": spec.name, "source": f"models:/{spec.name}/{version}", "run_id": run_id}
    created = post(f"{home.mlflow_url}/api/2.0/mlflow/model-versions/create", body)
    return created.raise_for_status().json()["model_version"]["version"]


def readiness(home) -> dict:
    return get(f"{home.prediction_url}/readyz").json()["projects"]["flights"]


def logged(home, spec):
    return Project(home, spec).log.read(NOW - timedelta(days=1), NOW).set_index("id")


@pytest.fixture
def no_champion(home, spec, prediction) -> None:
    """A service that has seen no champion, also after tests of other files."""
    registry = Project(home, spec).registry
    if crowned := [alias for alias in ("champion", "previous") if registry.aliased(alias)]:
        prediction.stop()
        for alias in crowned:
            registry.drop_alias(alias)
        prediction.start()
