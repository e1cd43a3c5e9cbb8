"""Deployments are registered once, and again when their definition has changed."""

import pytest
from prefect.client.orchestration import get_client

from flows import deployments
from stack import project
from stack.sections import Schedules


@pytest.fixture
def scheduled(monkeypatch):
    """Gives flights another schedule."""
    spec = project.load("flights")

    def schedule(**crons: str) -> None:
        changed = spec.model_copy(update={"schedules": Schedules(timezone="America/New_York", **crons)})
        monkeypatch.setattr(project, "load", lambda _: changed)

    return schedule


def test_only_what_has_changed_is_registered_anew(prefect, scheduled):
    with get_client(sync_client=True) as client:

        def deployed():
            deployments.deploy(client, "flights", deployments.registered(client))
            return deployments.registered(client)

        deployments.create_pools(client)
        scheduled()
        first = deployed()
        assert len(first) == len(deployments.FLOWS)
        assert {one.id: one.updated for one in deployed().values()} == {one.id: one.updated for one in first.values()}

        scheduled(ingest="0 5 * * *")
        second = deployed()
        assert [name for name in first if second[name].updated != first[name].updated] == ["ingest/flights"]
        assert [one.schedule.cron for one in second["ingest/flights"].schedules] == ["0 5 * * *"]

        scheduled()
        assert deployed()["ingest/flights"].schedules == []
