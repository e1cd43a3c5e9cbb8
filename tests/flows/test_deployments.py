"""Deployments are registered once, and again when their definition has changed."""

from prefect.client.orchestration import get_client

from flows import automations, deployments
from stack.specification import specs
from stack.specification.schedules import Schedules
from stack.specification.specs import ProjectSpec


def flights(**crons: str) -> ProjectSpec:
    """Flights with schedules."""
    schedules = Schedules(timezone="America/New_York", **crons)
    return specs.load("flights").model_copy(update={"schedules": schedules})


def updates(deployed):
    return {deployment.id: deployment.updated for deployment in deployed.values()}


def test_only_what_has_changed_is_registered_anew(prefect):
    with get_client(sync_client=True) as client:

        def deployed(**crons):
            deployments.deploy(client, flights(**crons), deployments.registered(client))
            return deployments.registered(client)

        deployments.create_pools(client)
        first = deployed()
        assert len(first) == len(deployments.FLOWS)
        assert updates(deployed()) == updates(first)

        second = deployed(ingest="0 5 * * *")
        assert [name for name in first if second[name].updated != first[name].updated] == ["ingest/flights"]
        assert [schedule.schedule.cron for schedule in second["ingest/flights"].schedules] == ["0 5 * * *"]

        (schedule,) = deployed(predict="5 * * * *")["predict/flights"].schedules
        assert schedule.parameters == {"scheduled": True}

        assert deployed()["ingest/flights"].schedules == []


def test_registering_twice_changes_nothing_and_a_project_that_is_gone_leaves_nothing(prefect, monkeypatch):
    monkeypatch.setattr(specs, "load_valid", lambda _: [flights()])
    monkeypatch.setattr(specs, "names", lambda: ["flights"])
    with get_client(sync_client=True) as client:

        def state():
            names = (automations.retraining_name("flights"), "Mark dead runs as crashed", "Take up killed replays")
            existing = [automation for name in names for automation in client.read_automations_by_name(name)]
            deployed = deployments.registered(client)
            return updates(deployed), [(automation.id, automation.name) for automation in existing]

        assert len(deployments.register()) == len(deployments.FLOWS)
        first = state()
        deployments.register()
        assert state() == first
        assert len(first[1]) == 3

        monkeypatch.setattr(specs, "load_valid", lambda _: [])
        monkeypatch.setattr(specs, "names", list)
        deployments.register()
        assert state()[0] == {}
        assert [name for _, name in state()[1]] == ["Mark dead runs as crashed", "Take up killed replays"]
