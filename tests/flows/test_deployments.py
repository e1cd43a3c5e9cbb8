"""Deployments are registered once, and again when their definition has changed."""

from prefect.client.orchestration import get_client

from flows import deployments
from stack.specification import specs
from stack.specification.sections import Schedules
from stack.specification.specs import ProjectSpec


def flights(**crons: str) -> ProjectSpec:
    """Flights with schedules."""
    schedules = Schedules(timezone="America/New_York", **crons)
    return specs.load("flights").model_copy(update={"schedules": schedules})


def test_only_what_has_changed_is_registered_anew(prefect):
    with get_client(sync_client=True) as client:

        def deployed(**crons):
            deployments.deploy(client, flights(**crons), deployments.registered(client))
            return deployments.registered(client)

        deployments.create_pools(client)
        first = deployed()
        assert len(first) == len(deployments.FLOWS)
        assert {one.id: one.updated for one in deployed().values()} == {one.id: one.updated for one in first.values()}

        second = deployed(ingest="0 5 * * *")
        assert [name for name in first if second[name].updated != first[name].updated] == ["ingest/flights"]
        assert [one.schedule.cron for one in second["ingest/flights"].schedules] == ["0 5 * * *"]

        assert deployed()["ingest/flights"].schedules == []
