"""With `approval: manual` a promotion waits in Prefect for a person, whose word stands in the audit."""

from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
import yaml
from prefect.client.orchestration import get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.types.entrypoint import EntrypointType

import stack.project.project
from flows.promote import promote
from stack.core.settings import Settings
from stack.project import Project
from stack.promotion import challengers, decisions, gate
from stack.promotion.leaks import Leak
from stack.specification import specs
from stack.specification.specs import ProjectSpec
from stack.training.training import TrainingSet
from tests.stack.conftest import DAYS, START, toy, toy_rows  # noqa: F401  # fixtures


@pytest.fixture
def town(request, toy, tracked, tmp_path, monkeypatch) -> ProjectSpec:
    """A project in a folder of its own, whose champions are soon due and followed by almost anything."""
    name = getattr(request, "param", "approved")
    raw = toy.model_dump(mode="json") | {"name": name}
    raw["gate"] |= {"approval": "manual", "max_loss_increase": 1.0}
    raw["monitoring"] |= {"max_age": "P1D"}
    raw["training"] |= {"candidates": ["linear"], "trials": 1, "folds": 1}
    (tmp_path / name).mkdir()
    (tmp_path / name / "project.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.setattr(Settings, "projects", tmp_path)
    monkeypatch.setattr("stack.project.project.settings", lambda: tracked)
    monkeypatch.setattr(stack.project.project, "settings", lambda: tracked)
    return specs.load(name)


def train(settings, spec, rows, days) -> str:
    cutoff = (START + timedelta(days=days)).to_pydatetime()
    known = rows[rows["label_available_at"] <= cutoff]
    data = TrainingSet(known, cutoff, data_revision="1", code_version="1")
    return challengers.train(Project(settings, spec), data, lambda _: None).version


def deploy(spec) -> UUID:
    parameters = {"project": spec.name}
    return RunnerDeployment.from_flow(
        promote, name=spec.name, parameters=parameters, entrypoint_type=EntrypointType.MODULE_PATH
    ).apply()


def work(run: UUID) -> str:
    """Run it as a worker does, and tell the state it then has."""
    with get_client(sync_client=True) as client:
        found = client.read_flow_run(run)
        with suppress(Pause):
            run_flow(promote, flow_run=found, parameters=found.parameters, return_type="state")
        return client.read_flow_run(run).state.name


def test_a_promotion_waits_for_a_person(tracked, town, toy_rows, prefect, caplog):
    rows = toy_rows(4000, days=40)
    first = train(tracked, town, rows, DAYS)
    with get_client(sync_client=True) as client:
        deployment = deploy(town)
        start = lambda: client.create_flow_run_from_deployment(deployment).id  # noqa: E731
        assert work(start()) == "Completed", "the first version follows nobody"
        assert Project(tracked, town).registry.champion().version == first

        second = train(tracked, town, rows, 40)
        refusing, approving = start(), start()
        assert [work(refusing), work(approving)] == ["Suspended", "Suspended"]
        assert Project(tracked, town).registry.champion().version == first
        assert client.resume_flow_run(refusing, run_input={}).details.reason, "a word is needed"

        client.resume_flow_run(refusing, run_input={"approve": False, "comment": "not on a Friday"})
        assert work(refusing) == "Completed"
        assert Project(tracked, town).registry.champion().version == first

        client.resume_flow_run(approving, run_input={"approve": True, "comment": "on Monday"})
        assert work(approving) == "Completed"
        assert Project(tracked, town).registry.champion().version == second
    assert caplog.text.count(f"approved: version {second} is awaiting approval") == 1

    told = decisions.entries(Project(tracked, town))
    assert [(one.kind, one.version, one.champion) for one in told] == [
        ("promote", first, None),
        ("refuse", second, first),
        ("promote", second, first),
    ]
    assert told[1].reason == "a person's approval 0 is not >= 1 (not on a Friday)"
    assert told[2].numbers["reasons"][-1]["note"] == "on Monday"


@pytest.mark.parametrize("town", ["suspected"], indirect=True)
def test_a_first_version_that_looks_too_good_waits_for_a_person(tracked, town, toy_rows, prefect, caplog, monkeypatch):
    monkeypatch.setattr(gate, "unapproved", lambda *_: (Leak(("sales",), "it is the target in other units"),))
    project = Project(tracked, town)
    version = train(tracked, town, toy_rows(4000, days=40), DAYS)
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deploy(town)).id
        assert work(run) == "Suspended"
        assert challengers.undecided(project).version == version
        assert "sales: it is the target in other units" in caplog.text
        client.resume_flow_run(run, run_input={"approve": True, "comment": "known when asked"})
        assert work(run) == "Completed"
    assert project.registry.champion().version == version and challengers.undecided(project) is None
    entry = decisions.entries(project)[-1]
    assert entry.numbers["leaks"] == [{"columns": ["sales"], "how": "it is the target in other units"}]
