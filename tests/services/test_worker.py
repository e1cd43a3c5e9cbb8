"""The worker may start before Prefect's server, and leaves no heartbeat behind that passes for the next worker's."""

import pytest

from stack.core import migrations
from stack.ops.runs import Runs
from tests.stacks import Service


@pytest.fixture
def worker(prefect_service: Service) -> Service:
    """The worker of a stack of which Prefect alone runs."""
    settings = prefect_service.settings
    migrations.upgrade(settings.state_database)
    return Service(settings, "worker", lambda: Runs(settings).online("stack"))


def test_a_worker_that_has_stopped_is_not_online(worker: Service) -> None:
    with worker:
        pass

    assert not Runs(worker.settings).online("stack")


def test_prefect_is_stopped_after_the_worker_and_not_waited_for(worker: Service) -> None:
    assert set(worker.definition.uses) == {"prefect"}
    assert "prefect" not in worker.definition.needs
